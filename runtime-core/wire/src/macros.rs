//! One description of a type, two forms of it (see the crate's documentation).

/// Describes a struct: the owned `$name` and the borrowed `$view`, field by field in wire order.
macro_rules! wire_struct {
    ($(#[$meta:meta])* $name:ident / $view:ident {
        $($(#[$field_meta:meta])* $field:ident : $kind:ty),* $(,)?
    }) => {
        $(#[$meta])*
        #[cfg(feature = "owned")]
        #[derive(Clone, Debug, PartialEq, serde::Serialize)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: <$kind as $crate::codec::Owned>::Owned,)*
        }

        $(#[$meta])*
        #[cfg(not(feature = "owned"))]
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}

        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        pub struct $view<'a> {
            $($(#[$field_meta])* pub $field: <$kind as $crate::codec::Field>::View<'a>,)*
            borrowed: core::marker::PhantomData<&'a ()>,
        }

        impl $crate::codec::Field for $name {
            type View<'a> = $view<'a>;

            fn read<'a>(
                from: &mut $crate::codec::Reader<'a>,
            ) -> Result<$view<'a>, $crate::codec::Malformed> {
                Ok($view {
                    $($field: <$kind as $crate::codec::Field>::read(from)?,)*
                    borrowed: core::marker::PhantomData,
                })
            }
        }

        #[cfg(feature = "owned")]
        impl $crate::codec::Owned for $name {
            type Owned = $name;

            fn write(value: &$name, to: &mut std::vec::Vec<u8>) {
                $(<$kind as $crate::codec::Owned>::write(&value.$field, to);)*
            }
        }
    };
}

/// Describes a choice: a tag and the payload of that variant.
macro_rules! wire_enum {
    ($(#[$meta:meta])* $name:ident / $view:ident {
        $($(#[$variant_meta:meta])* $variant:ident($kind:ty) = $tag:literal),* $(,)?
    }) => {
        $(#[$meta])*
        #[cfg(feature = "owned")]
        #[derive(Clone, Debug, PartialEq, serde::Serialize)]
        // There is one plan in a process, and its reader has no heap to put a variant on.
        #[allow(clippy::large_enum_variant)]
        pub enum $name {
            $($(#[$variant_meta])* $variant(<$kind as $crate::codec::Owned>::Owned),)*
        }

        $(#[$meta])*
        #[cfg(not(feature = "owned"))]
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}

        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        #[allow(clippy::large_enum_variant)]
        pub enum $view<'a> {
            $($(#[$variant_meta])* $variant(<$kind as $crate::codec::Field>::View<'a>),)*
            /// Never made: it lets every view borrow, whatever its variants hold.
            #[doc(hidden)]
            Borrowed(core::convert::Infallible, core::marker::PhantomData<&'a ()>),
        }

        impl $crate::codec::Field for $name {
            type View<'a> = $view<'a>;

            fn read<'a>(
                from: &mut $crate::codec::Reader<'a>,
            ) -> Result<$view<'a>, $crate::codec::Malformed> {
                match <u8 as $crate::codec::Field>::read(from)? {
                    $($tag => Ok($view::$variant(<$kind as $crate::codec::Field>::read(from)?)),)*
                    _ => Err($crate::codec::Malformed),
                }
            }
        }

        #[cfg(feature = "owned")]
        impl $crate::codec::Owned for $name {
            type Owned = $name;

            fn write(value: &$name, to: &mut std::vec::Vec<u8>) {
                match value {
                    $($name::$variant(payload) => {
                        to.push($tag);
                        <$kind as $crate::codec::Owned>::write(payload, to);
                    })*
                }
            }
        }
    };
}

pub(crate) use {wire_enum, wire_struct};
