# Fetches kernels: sourced by vm. Packages are unpacked below target/vm, never installed.

# fetch PATTERN PACKAGE: unpacks PACKAGE, and of what it depends on that whose name matches PATTERN, to $scratch/tree.
fetch() {
    local pattern="$1" package="$2" mirror apt="$scratch/apt" deb
    # Lists of its own, from the mirror of this machine's apt; nothing of the machine's is read or changed.
    # shellcheck disable=SC2016 # words of apt
    mirror="$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | sort -u | head -n 1)"
    [ -n "$mirror" ] || fail 125 "apt of this machine knows no mirror of Debian"
    mkdir -p "$apt"/{apt.conf.d,preferences.d,state/lists/partial,cache/archives/partial} "$scratch/tree"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $kernel main" >"$apt/sources.list"
    cat >"$apt/apt.conf" <<END
Dir::Etc "$apt"; Dir::State "$apt/state"; Dir::State::status "/dev/null"; Dir::Cache "$apt/cache";
APT::Sandbox::User "root"; APT::Install-Recommends "false"; Acquire::Check-Valid-Until "false";
END
    (
        export APT_CONFIG="$apt/apt.conf"
        cd "$apt"
        apt-get -qq update
        # What would be installed were nothing there: kernels of some suites are several packages.
        apt-get --simulate install "$package" | awk -v name="^($pattern)\$" '$1 == "Inst" && $2 ~ name { print $2 }' |
            xargs apt-get -qq download
    )
    for deb in "$apt"/*.deb; do
        dpkg-deb --fsys-tarfile "$deb" | tar --extract --keep-directory-symlink --directory "$scratch/tree"
    done
}

install_kernel() {
    local scratch="$place.new" version module libraries
    # Of the kernels for User-Mode Linux, some of those that are there may be older than this file of theirs.
    [ ! -e "$place/$([ $machine = uml ] && echo xstate.so || echo linux)" ] || return 0
    rm -rf "$scratch" "$place"
    mkdir -p "$scratch/kernel/early"
    if [ "$machine" = uml ]; then
        fetch 'user-mode-linux|libc6' user-mode-linux
        mv "$scratch/tree/usr/bin/linux.uml" "$scratch/kernel/linux"
        # It may want a newer C library than the host's, or an older one: it gets its own, from the directory that it
        # is started in.
        libraries="$(dirname "$(find "$scratch/tree" -name libc.so.6)")"
        cp -L "$libraries"/{libc,libutil,librt,libpthread,libdl}.so.[0-9] "$scratch/kernel/"
        cp -L "$libraries/ld-linux-x86-64.so.2" "$scratch/kernel/loader"
        sed -i 's,/lib64/ld-linux-x86-64\.so\.2,./loader\x0\x0\x0\x0\x0\x0\x0\x0\x0\x0\x0\x0\x0\x0\x0\x0\x0\x0\x0,' "$scratch/kernel/linux"
        mv "$scratch/tree/usr/lib/uml/modules" "$scratch/kernel/modules"
        # Without a library of its own: it is loaded beside the one of this kernel.
        cc -O2 -Wall -Wextra -Werror -shared -fPIC -nostdlib -fno-builtin -o "$scratch/kernel/xstate.so" "$here/xstate.c"
    else
        # The cloud flavour is smaller, and has no 9p.
        fetch 'linux-[a-z]+-[0-9].*' linux-image-amd64
        mv "$scratch"/tree/boot/vmlinuz-* "$scratch/kernel/linux"
        mv "$(find "$scratch/tree" -path '*lib/modules')" "$scratch/kernel/modules"
    fi
    version="$(ls "$scratch/kernel/modules")"
    # depmod and modprobe want them below lib/modules.
    mkdir "$scratch/lib"
    ln -s "$scratch/kernel/modules" "$scratch/lib/modules"
    rm -rf "$scratch/kernel/modules/$version/kernel"/{sound,drivers/{gpu,hid,iio,media,staging}}
    depmod --basedir "$scratch" "$version"
    # What the host's files are read with, in the order in which they have to be loaded; the rest has modprobe.
    for module in virtio_pci 9p 9pnet_virtio overlay; do
        modprobe --dirname "$scratch" --set-version "$version" --show-depends "$module" 2>/dev/null || true
    done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r module; do
        cp "$module" "$scratch/kernel/early/"
        basename "${module%.xz}" >>"$scratch/kernel/early/order"
    done
    find "$scratch/kernel/early" -name '*.xz' -exec xz --decompress {} +
    # In one step, so that what was interrupted is not taken for a kernel.
    mv "$scratch/kernel" "$place"
    rm -rf "$scratch"
}
