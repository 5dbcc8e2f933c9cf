//! config.md: mounts, and every mount option.

use super::{Row, by, rows};

pub(super) const ROWS: &[Row] = rows! {
    "config.md#mounts" {
        May "mount/optional" "A configuration without mounts works." => by(&["config/mounts-absent"]);
        Must "mount/order" "Mounts are made in the listed order." => by(&["rootfs/order", "layer/order"]);
        Must "mount/destination" "The destination is a path inside of the container, whatever links the image has there." => by(&["rootfs/link-destination", "hostile/destination-symlink", "hostile/destination-dots"]);
        Should "mount/destination-absolute" "A relative destination is deprecated, and starts at the root of the container." => by(&["config/relative-destination"]);
        Must "mount/target" "A destination that is not there is made: a directory, or a file for a file." => by(&["rootfs/mount-point", "rootfs/bind-file"]);
        Must "mount/source-absolute" "The source of a bind mount may be absolute." => by(&["rootfs/bind-flags", "mount/bind-kinds"]);
        Must "mount/source-relative" "A relative source of a bind mount starts at the bundle." => by(&["rootfs/relative-source"]);
        Must "mount/source-missing" "A source that is not there is an error." => by(&["rootfs/missing-source"]);
        Must "mount/bind" "A mount is a bind mount by bind or rbind among its options, whatever its type." => by(&["config/bind-without-type"]);
        Must "mount/data" "Options that are not in the table are the file system's." => by(&["rootfs/tmpfs-data", "layer/root"]);
        Must "mount/data-of-bind" "A bind mount has no file system of its own: such an option is an error." => by(&["mount/bind-data"]);
    }
    "config.md#posix-platform-mounts" {
        Must "mount/type" "A type of /proc/filesystems is mounted, and a type that the kernel does not have is an error." => by(&["rootfs/default-filesystems", "hostile/bad-values"]);
        Must "mount/uid-mappings" "uidMappings of a mount map its owners." => by(&["idmap/mappings", "idmap/written"]);
        Must "mount/gid-mappings" "gidMappings of a mount map its groups." => by(&["idmap/mappings", "idmap/written"]);
        Must "mount/mappings-refused" "Mappings that cannot be applied are an error." => by(&["idmap/refused"]);
        Must "mount/mappings-recursive" "Without ridmap the mappings do not reach the mounts below." => by(&["idmap/recursive"]);
    }
    "config.md#linux-mount-options" {
        Must "mount-option/async" "async makes writes asynchronous, also after sync." => by(&["option/async"]);
        Must "mount-option/atime" "atime updates access times, also after noatime." => by(&["option/atime"]);
        Must "mount-option/bind" "bind brings one mount of the source and none below it." => by(&["rootfs/bind"]);
        Must "mount-option/defaults" "defaults stands for the kernel's own choice." => by(&["option/defaults"]);
        Must "mount-option/dev" "dev lets device files be used, also after nodev." => by(&["option/dev"]);
        Must "mount-option/diratime" "diratime updates access times of directories." => by(&["option/diratime"]);
        Must "mount-option/dirsync" "dirsync makes changes of directories synchronous." => by(&["option/dirsync"]);
        Must "mount-option/exec" "exec lets files be executed, also after noexec." => by(&["option/exec"]);
        Should "mount-option/idmap" "idmap maps the ids of the mount." => by(&["idmap/container"]);
        Must "mount-option/iversion" "iversion is taken, whether or not the file system knows it." => by(&["option/iversion"]);
        Must "mount-option/lazytime" "lazytime keeps times in memory for a while." => by(&["option/lazytime"]);
        Must "mount-option/loud" "loud is taken." => by(&["option/loud"]);
        May "mount-option/mand" "mand is taken." => by(&["option/mand"]);
        Must "mount-option/noatime" "noatime leaves access times alone." => by(&["option/noatime"]);
        Must "mount-option/nodev" "nodev makes device files unusable." => by(&["option/nodev"]);
        Must "mount-option/nodiratime" "nodiratime leaves access times of directories alone." => by(&["option/nodiratime"]);
        Must "mount-option/noexec" "noexec forbids execution." => by(&["option/noexec"]);
        Must "mount-option/noiversion" "noiversion is taken, whether or not the file system knows it." => by(&["option/noiversion"]);
        Must "mount-option/nolazytime" "nolazytime undoes lazytime." => by(&["option/nolazytime"]);
        May "mount-option/nomand" "nomand is taken." => by(&["option/nomand"]);
        Must "mount-option/norelatime" "norelatime is taken." => by(&["option/norelatime"]);
        Must "mount-option/nostrictatime" "nostrictatime undoes strictatime." => by(&["option/nostrictatime"]);
        Must "mount-option/nosuid" "nosuid makes set-user-ID and file capabilities ineffective." => by(&["option/nosuid"]);
        Should "mount-option/nosymfollow" "nosymfollow forbids following symlinks." => by(&["option/nosymfollow"]);
        Must "mount-option/private" "private takes the mount out of its peer group." => by(&["propagation/options"]);
        Should "mount-option/ratime" "ratime is atime for the mount and all below it." => by(&["option/ratime"]);
        Must "mount-option/rbind" "rbind brings the source with all mounts below." => by(&["rootfs/bind"]);
        Should "mount-option/rdev" "rdev is dev for the mount and all below it." => by(&["option/rdev"]);
        Should "mount-option/rdiratime" "rdiratime is diratime for the mount and all below it." => by(&["option/rdiratime"]);
        Must "mount-option/relatime" "relatime updates access times when they are old." => by(&["option/relatime"]);
        Must "mount-option/remount" "remount changes the mount that is there." => by(&["option/remount"]);
        Should "mount-option/rexec" "rexec is exec for the mount and all below it." => by(&["option/rexec"]);
        Should "mount-option/ridmap" "ridmap maps the ids of the mount and all below." => by(&["idmap/recursive"]);
        Should "mount-option/rnoatime" "rnoatime is noatime for the mount and all below it." => by(&["option/rnoatime"]);
        Should "mount-option/rnodev" "rnodev is nodev for the mount and all below it." => by(&["option/rnodev"]);
        Should "mount-option/rnodiratime" "rnodiratime is nodiratime for the mount and all below it." => by(&["option/rnodiratime"]);
        Should "mount-option/rnoexec" "rnoexec is noexec for the mount and all below it." => by(&["option/rnoexec"]);
        Should "mount-option/rnorelatime" "rnorelatime is norelatime for the mount and all below it." => by(&["option/rnorelatime"]);
        Should "mount-option/rnostrictatime" "rnostrictatime is nostrictatime for the mount and all below it." => by(&["option/rnostrictatime"]);
        Should "mount-option/rnosuid" "rnosuid is nosuid for the mount and all below it." => by(&["option/rnosuid"]);
        Should "mount-option/rnosymfollow" "rnosymfollow is nosymfollow for the mount and all below it." => by(&["option/rnosymfollow"]);
        Must "mount-option/ro" "ro makes the mount read-only." => by(&["option/ro", "rootfs/flags", "rootfs/bind-flags"]);
        Must "mount-option/rprivate" "rprivate is private for all mounts below as well." => by(&["propagation/options"]);
        Should "mount-option/rrelatime" "rrelatime is relatime for the mount and all below it." => by(&["option/rrelatime"]);
        Should "mount-option/rro" "rro is ro for the mount and all below it." => by(&["option/rro", "rootfs/read-only"]);
        Should "mount-option/rrw" "rrw is rw for the mount and all below it." => by(&["option/rrw"]);
        Must "mount-option/rshared" "rshared is shared for all mounts below as well." => by(&["propagation/options"]);
        Must "mount-option/rslave" "rslave is slave for all mounts below as well." => by(&["propagation/options"]);
        Should "mount-option/rstrictatime" "rstrictatime is strictatime for the mount and all below it." => by(&["option/rstrictatime"]);
        Should "mount-option/rsuid" "rsuid is suid for the mount and all below it." => by(&["option/rsuid"]);
        Should "mount-option/rsymfollow" "rsymfollow is symfollow for the mount and all below it." => by(&["option/rsymfollow"]);
        Must "mount-option/runbindable" "runbindable is unbindable for all mounts below as well." => by(&["option/runbindable"]);
        Must "mount-option/rw" "rw makes the mount writable, also after ro." => by(&["option/rw"]);
        Must "mount-option/shared" "shared puts the mount into a peer group." => by(&["propagation/options"]);
        Must "mount-option/silent" "silent is taken." => by(&["option/silent"]);
        Must "mount-option/slave" "slave makes the mount receive and not send." => by(&["propagation/options"]);
        Must "mount-option/strictatime" "strictatime always updates access times." => by(&["option/strictatime"]);
        Must "mount-option/suid" "suid undoes nosuid." => by(&["option/suid"]);
        Should "mount-option/symfollow" "symfollow undoes nosymfollow." => by(&["option/symfollow"]);
        Must "mount-option/sync" "sync makes writes synchronous." => by(&["option/sync"]);
        May "mount-option/tmpcopyup" "tmpcopyup fills a tmpfs with what it covers." => by(&["rootfs/tmpcopyup"]);
        Must "mount-option/unbindable" "unbindable makes the mount private and unbindable." => by(&["propagation/options"]);
    }
};
