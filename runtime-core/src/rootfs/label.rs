//! `linux.mountLabel`: the SELinux context of the filesystems that the container gets. Pure.

use oci_spec::runtime::Spec;
use teu_wire::{FsOption, OwnedText};

use super::mount::{fs_option, text};
use crate::error::{Error, Result};

const FIELD: &str = "linux.mountLabel";

/// crun's annotation, which Podman sets for containers that label files themselves (`--security-opt label=nested`).
const KIND: &str = "run.oci.mount_context_type";

/// The options by which a filesystem gets its contexts (mount(8), "context=").
const OPTIONS: [&str; 4] = ["context", "fscontext", "defcontext", "rootcontext"];

/// fsconfig(2) takes strings of at most so many bytes.
const LONGEST: usize = 255;

/// The label, and the option that it is given by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MountLabel {
    option: &'static str,
    context: String,
}

/// How a filesystem of this type is labelled.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    /// The host's, or one for all: it has the policy's labels.
    NotAtAll,
    /// The kernel makes it with the IPC namespace, unlabelled, so that its root alone can be labelled, afterwards.
    OnItsRoot,
    ByOption,
}

fn way(kind: &str) -> Way {
    match kind {
        "proc" | "sysfs" | "cgroup" | "cgroup2" => Way::NotAtAll,
        "mqueue" => Way::OnItsRoot,
        _ => Way::ByOption,
    }
}

impl MountLabel {
    /// Lowers the property; `selinux` says whether the host can do it.
    ///
    /// # Errors
    /// The host has no SELinux: the label would be left out in silence. It cannot be given to fsconfig(2).
    pub(crate) fn lower(spec: &Spec, selinux: bool) -> Result<Option<Self>> {
        let label = spec.linux().as_ref().and_then(|linux| linux.mount_label().as_deref());
        let Some(label) = label.filter(|label| !label.is_empty()) else { return Ok(None) };
        if !selinux {
            let text =
                format_args!("{label:?} is asked for, but SELinux is not enabled on this host");
            return Err(Error::unsupported(FIELD, text));
        }
        if label.len() > LONGEST {
            let text = format_args!("is longer than the {LONGEST} bytes that fsconfig(2) takes");
            return Err(Error::spec(FIELD, text));
        }
        let kind = spec.annotations().as_ref().and_then(|annotations| annotations.get(KIND));
        let kind = kind.map_or(OPTIONS[0], String::as_str);
        let option = OPTIONS.into_iter().find(|option| *option == kind).ok_or_else(|| {
            let text = format_args!("{kind:?} is none of {}", OPTIONS.join(", "));
            Error::spec(format!("annotations[{KIND:?}]"), text)
        })?;
        text(label, FIELD)?;
        Ok(Some(Self { option, context: label.to_owned() }))
    }

    /// The option for a filesystem whose own options are `data`: what they say of its contexts holds instead.
    pub(super) fn option(
        &self,
        kind: &str,
        data: &[(String, Option<String>)],
    ) -> Result<Option<FsOption>> {
        if way(kind) != Way::ByOption || data.iter().any(|(key, _)| is_option(key)) {
            return Ok(None);
        }
        fs_option(self.option, Some(&self.context), FIELD).map(Some)
    }

    /// The label for its root directory, where it has none by an option.
    pub(super) fn on_root(&self, kind: &str) -> Result<Option<OwnedText>> {
        (way(kind) == Way::OnItsRoot).then(|| text(&self.context, FIELD)).transpose()
    }
}

fn is_option(key: &str) -> bool {
    OPTIONS.contains(&key)
}

/// Splits an option word at its commas, but not at those of a quoted context (`context="u:r:t:s0:c1,c2"`), whose
/// quotes are mount(8)'s and not the kernel's.
pub(super) fn split(word: &str) -> impl Iterator<Item = (String, Option<String>)> + '_ {
    let mut rest = Some(word);
    std::iter::from_fn(move || {
        let text = rest?;
        if let Some((key, quoted)) = text.split_once("=\"")
            && is_option(key)
            && let Some((value, after)) = quoted.split_once('"')
        {
            rest = after.strip_prefix(',');
            return Some((key.to_owned(), Some(value.to_owned())));
        }
        let (piece, after) = text.split_once(',').map_or((text, None), |(a, b)| (a, Some(b)));
        rest = after;
        Some(match piece.split_once('=') {
            Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
            None => (piece.to_owned(), None),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const LABEL: &str = "system_u:object_r:container_file_t:s0:c1,c2";

    fn lowered(label: &str, annotations: Value, selinux: bool) -> Result<Option<MountLabel>> {
        let spec = json!({
            "ociVersion": "1.0.2",
            "linux": { "mountLabel": label },
            "annotations": annotations
        });
        MountLabel::lower(&serde_json::from_value(spec).unwrap(), selinux)
    }

    #[test]
    fn a_label_that_cannot_be_given_is_an_error_with_its_path() {
        let wrong = |label: &str, annotations: Value, selinux| {
            lowered(label, annotations, selinux).unwrap_err().to_string()
        };
        assert!(wrong(LABEL, json!({}), false).contains("linux.mountLabel"));
        assert!(wrong(&"x".repeat(256), json!({}), true).contains("255 bytes"));
        assert!(wrong(LABEL, json!({ KIND: "seclabel" }), true).contains(KIND));
        assert_eq!(lowered("", json!({}), false).unwrap(), None);
    }

    #[test]
    fn each_type_is_labelled_in_its_way() {
        let label = lowered(LABEL, json!({}), true).unwrap().unwrap();
        let context = fs_option("context", Some(LABEL), "").unwrap();
        for kind in ["tmpfs", "devpts", "overlay", "ramfs"] {
            assert_eq!(label.option(kind, &[]).unwrap().as_ref(), Some(&context), "{kind}");
            assert_eq!(label.on_root(kind).unwrap(), None, "{kind}");
        }
        for kind in ["proc", "sysfs", "cgroup", "cgroup2", "mqueue"] {
            assert_eq!(label.option(kind, &[]).unwrap(), None, "{kind}");
            assert_eq!(label.on_root(kind).unwrap().is_some(), kind == "mqueue", "{kind}");
        }
        let own = [("defcontext".to_owned(), Some("x".to_owned()))];
        assert_eq!(label.option("tmpfs", &own).unwrap(), None);
        let nested = lowered(LABEL, json!({ KIND: "rootcontext" }), true).unwrap().unwrap();
        let option = nested.option("tmpfs", &[]).unwrap().unwrap();
        assert_eq!(option, fs_option("rootcontext", Some(LABEL), "").unwrap());
    }

    #[test]
    fn the_commas_of_a_quoted_context_do_not_split() {
        let pairs = |word| split(word).collect::<Vec<_>>();
        let pair = |key: &str, value: Option<&str>| (key.to_owned(), value.map(str::to_owned));
        assert_eq!(
            pairs("size=1k,context=\"a:s0:c1,c2\",noswap"),
            [pair("size", Some("1k")), pair("context", Some("a:s0:c1,c2")), pair("noswap", None)]
        );
        // A quote anywhere else is a part of a name.
        assert_eq!(pairs("lowerdir=\"a,b\""), [pair("lowerdir", Some("\"a")), pair("b\"", None)]);
    }
}
