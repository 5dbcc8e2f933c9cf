//! Layered roots: read-only layers, an optional init layer, and a writable one, by overlayfs, copy-on-write.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{Mount, MountBuilder};

use crate::error::{Error, ErrorKind, Result};

/// A container root made of layers.
///
/// It is asked for in config.json by the overlay mount that [`LayeredRoot::into_mount`] makes, with the
/// destination `/`, as the first of `mounts`. Init makes the mount in the container's mount namespace, so it
/// ends with the container; the read-only layers are never written to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayeredRoot {
    /// Read-only layers, the topmost first. Relative paths are resolved against the bundle.
    pub layers: Vec<PathBuf>,
    /// A layer above them and below the writable one, for files that whoever starts the container provides:
    /// /etc/hosts, /etc/hostname, /etc/resolv.conf.
    pub init: Option<PathBuf>,
    /// The writable layer; without one the root is read-only.
    pub upper: Option<PathBuf>,
    /// overlayfs's work directory: empty, on the filesystem of `upper`.
    pub work: Option<PathBuf>,
}

impl LayeredRoot {
    /// The mount for config.json.
    ///
    /// # Errors
    /// No layer, or only one of `upper` and `work`.
    pub fn into_mount(self) -> Result<Mount> {
        let wrong = |text: &str| Err(Error::new(ErrorKind::InvalidArgument, text));
        let lower: Vec<String> =
            self.init.iter().chain(&self.layers).map(|path| escape(path)).collect();
        if lower.is_empty() {
            return wrong("a layered root needs at least one layer");
        }
        let mut options = vec![format!("lowerdir={}", lower.join(":"))];
        match (&self.upper, &self.work) {
            (Some(upper), Some(work)) => {
                options.push(format!("upperdir={}", upper.display()));
                options.push(format!("workdir={}", work.display()));
            }
            (None, None) if lower.len() > 1 => (),
            (None, None) => {
                return wrong("a read-only layered root needs at least two layers (overlayfs)");
            }
            _ => return wrong("a writable layer needs both its directory and a work directory"),
        }
        MountBuilder::default()
            .destination("/")
            .typ("overlay")
            .source("overlay")
            .options(options)
            .build()
            .map_err(|error| Error::new(ErrorKind::InvalidArgument, error.to_string()))
    }
}

/// A colon separates layers, and a backslash keeps it from doing so.
fn escape(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "\\\\").replace(':', "\\:")
}

/// Makes relative paths of an overlay option absolute.
pub(super) fn resolve(key: &str, value: &str, bundle: &Path) -> String {
    match key {
        "lowerdir" | "lowerdir+" => split(value)
            .map(|layer| bundle.join(layer).to_string_lossy().into_owned())
            .collect::<Vec<_>>()
            .join(":"),
        "upperdir" | "workdir" => bundle.join(value).to_string_lossy().into_owned(),
        _ => value.to_owned(),
    }
}

/// Splits at colons that are not escaped; the pieces stay escaped.
fn split(list: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(list);
    std::iter::from_fn(move || {
        let list = rest?;
        let mut escaped = false;
        let end = list.find(|c| {
            let cut = c == ':' && !escaped;
            escaped = c == '\\' && !escaped;
            cut
        });
        rest = end.map(|end| &list[end + 1..]);
        Some(end.map_or(list, |end| &list[..end]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_become_one_mount() {
        let root = LayeredRoot {
            layers: vec!["layers/b".into(), "/a:b".into()],
            init: Some("init".into()),
            upper: Some("up".into()),
            work: Some("work".into()),
        };
        let mount = root.into_mount().unwrap();
        assert_eq!(
            mount.options().clone().unwrap(),
            [r"lowerdir=init:layers/b:/a\:b", "upperdir=up", "workdir=work"]
        );
        assert_eq!(resolve("lowerdir", r"x:/a\:b", Path::new("/B")), r"/B/x:/a\:b");
        assert_eq!(resolve("upperdir", "up", Path::new("/B")), "/B/up");
        assert!(LayeredRoot::default().into_mount().is_err());
    }
}
