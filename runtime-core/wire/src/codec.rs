//! The encoding: integers little-endian and fixed, texts with their length and a final NUL (so that init can
//! hand them to the kernel where they lie), lists with their count.

use core::ffi::CStr;
use core::marker::PhantomData;

/// The plan is not what this build writes: a defect of the runtime, never of the user's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// A cursor over encoded bytes.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }
}

/// A kind of field: how it is read, and what init sees of it.
pub trait Field {
    /// The form that borrows from the encoded bytes.
    type View<'a>: Copy;

    /// Reads one value.
    ///
    /// # Errors
    /// [`Malformed`] when the bytes end early or are not of this kind.
    fn read<'a>(from: &mut Reader<'a>) -> Result<Self::View<'a>, Malformed>;
}

/// The owned side of a [`Field`].
#[cfg(feature = "owned")]
pub trait Owned: Field {
    /// The form that the runtime builds.
    type Owned: Clone + core::fmt::Debug + PartialEq + serde::Serialize;

    /// Appends the encoding of `value`.
    fn write(value: &Self::Owned, to: &mut std::vec::Vec<u8>);
}

/// Reads a whole value; bytes behind it are left alone.
///
/// # Errors
/// [`Malformed`] when the bytes are not what [`encode`] makes of a `T`.
pub fn decode<T: Field>(bytes: &[u8]) -> Result<T::View<'_>, Malformed> {
    T::read(&mut Reader::new(bytes))
}

/// Encodes a whole value.
#[cfg(feature = "owned")]
pub fn encode<T: Owned>(value: &T::Owned) -> std::vec::Vec<u8> {
    let mut bytes = std::vec::Vec::new();
    T::write(value, &mut bytes);
    bytes
}

macro_rules! integer {
    ($($type:ty),*) => {$(
        impl Field for $type {
            type View<'a> = $type;

            fn read<'a>(from: &mut Reader<'a>) -> Result<$type, Malformed> {
                let bytes = from.take(size_of::<$type>())?;
                Ok(<$type>::from_le_bytes(bytes.try_into().map_err(|_| Malformed)?))
            }
        }

        #[cfg(feature = "owned")]
        impl Owned for $type {
            type Owned = $type;

            fn write(value: &$type, to: &mut std::vec::Vec<u8>) {
                to.extend_from_slice(&value.to_le_bytes());
            }
        }
    )*};
}

integer!(u8, u16, u32, u64, i32, i64);

impl Field for bool {
    type View<'a> = bool;

    fn read<'a>(from: &mut Reader<'a>) -> Result<bool, Malformed> {
        match u8::read(from)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }
}

#[cfg(feature = "owned")]
impl Owned for bool {
    type Owned = bool;

    fn write(value: &bool, to: &mut std::vec::Vec<u8>) {
        to.push(u8::from(*value));
    }
}

impl Field for () {
    type View<'a> = ();

    fn read<'a>(_: &mut Reader<'a>) -> Result<(), Malformed> {
        Ok(())
    }
}

#[cfg(feature = "owned")]
impl Owned for () {
    type Owned = ();

    fn write(&(): &(), _: &mut std::vec::Vec<u8>) {}
}

/// A string for the kernel: any bytes but NUL.
#[derive(Clone, Copy, Debug)]
pub enum Text {}

impl Field for Text {
    type View<'a> = &'a CStr;

    fn read<'a>(from: &mut Reader<'a>) -> Result<&'a CStr, Malformed> {
        let length = u32::read(from)? as usize;
        CStr::from_bytes_with_nul(from.take(length)?).map_err(|_| Malformed)
    }
}

/// Any bytes.
#[derive(Clone, Copy, Debug)]
pub enum Bytes {}

impl Field for Bytes {
    type View<'a> = &'a [u8];

    fn read<'a>(from: &mut Reader<'a>) -> Result<&'a [u8], Malformed> {
        let length = u32::read(from)? as usize;
        from.take(length)
    }
}

/// A value that may be absent.
#[derive(Clone, Copy, Debug)]
pub struct Maybe<T>(PhantomData<T>);

impl<T: Field> Field for Maybe<T> {
    type View<'a> = Option<T::View<'a>>;

    fn read<'a>(from: &mut Reader<'a>) -> Result<Option<T::View<'a>>, Malformed> {
        bool::read(from)?.then(|| T::read(from)).transpose()
    }
}

/// Any number of values.
#[derive(Clone, Copy, Debug)]
pub struct Many<T>(PhantomData<T>);

/// The borrowed form of [`Many`]: decoded while it is walked.
pub struct List<'a, T> {
    count: u32,
    bytes: Reader<'a>,
    kind: PhantomData<fn() -> T>,
}

impl<T> Clone for List<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for List<'_, T> {}

impl<T> core::fmt::Debug for List<'_, T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "List of {}", self.count)
    }
}

impl<'a, T: Field> List<'a, T> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Walks the values.
    pub fn iter(&self) -> ListIter<'a, T> {
        ListIter { left: self.count, bytes: self.bytes, kind: PhantomData }
    }

    /// The value at `index`.
    pub fn get(&self, index: usize) -> Option<T::View<'a>> {
        self.iter().nth(index)
    }
}

impl<'a, T: Field> IntoIterator for List<'a, T> {
    type Item = T::View<'a>;
    type IntoIter = ListIter<'a, T>;

    fn into_iter(self) -> ListIter<'a, T> {
        self.iter()
    }
}

/// Walks a [`List`].
pub struct ListIter<'a, T> {
    left: u32,
    bytes: Reader<'a>,
    kind: PhantomData<fn() -> T>,
}

impl<T> core::fmt::Debug for ListIter<'_, T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "ListIter, {} left", self.left)
    }
}

impl<'a, T: Field> Iterator for ListIter<'a, T> {
    type Item = T::View<'a>;

    fn next(&mut self) -> Option<T::View<'a>> {
        self.left = self.left.checked_sub(1)?;
        // The whole list was walked once when it was read, so this cannot fail in the middle.
        T::read(&mut self.bytes).ok()
    }
}

impl<T: Field> Field for Many<T> {
    type View<'a> = List<'a, T>;

    fn read<'a>(from: &mut Reader<'a>) -> Result<List<'a, T>, Malformed> {
        let count = u32::read(from)?;
        let bytes = *from;
        for _ in 0..count {
            T::read(from)?;
        }
        Ok(List { count, bytes, kind: PhantomData })
    }
}

#[cfg(feature = "owned")]
mod owned {
    use super::{Bytes, Many, Maybe, Owned, Text};
    use std::borrow::ToOwned;
    use std::ffi::{CStr, CString, NulError};
    use std::vec::Vec;

    /// The owned form of [`Text`].
    #[derive(Clone, PartialEq, Eq, Default)]
    pub struct OwnedText(CString);

    impl OwnedText {
        /// Takes any bytes without NUL.
        ///
        /// # Errors
        /// The position of a NUL.
        pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, NulError> {
            CString::new(bytes).map(Self)
        }

        /// The string for the kernel.
        pub fn as_c_str(&self) -> &CStr {
            &self.0
        }

        /// The bytes without the final NUL.
        pub fn as_bytes(&self) -> &[u8] {
            self.0.as_bytes()
        }
    }

    impl From<&CStr> for OwnedText {
        fn from(text: &CStr) -> Self {
            Self(text.to_owned())
        }
    }

    impl core::fmt::Debug for OwnedText {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            core::fmt::Debug::fmt(&self.0.to_string_lossy(), f)
        }
    }

    impl core::fmt::Display for OwnedText {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            f.write_str(&self.0.to_string_lossy())
        }
    }

    impl serde::Serialize for OwnedText {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            to.serialize_str(&self.0.to_string_lossy())
        }
    }

    /// The owned form of [`Bytes`]: printed as its length only.
    #[derive(Clone, PartialEq, Eq, Default)]
    pub struct OwnedBytes(pub Vec<u8>);

    impl core::fmt::Debug for OwnedBytes {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            write!(f, "{} bytes", self.0.len())
        }
    }

    impl serde::Serialize for OwnedBytes {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            to.collect_str(&format_args!("{} bytes", self.0.len()))
        }
    }

    /// No text, list or plan comes near 4 GiB: the kernel takes 128 KiB a string (execve(2)).
    fn length(of: usize, to: &mut Vec<u8>) {
        u32::write(&u32::try_from(of).unwrap_or(u32::MAX), to);
    }

    impl Owned for Text {
        type Owned = OwnedText;

        fn write(value: &OwnedText, to: &mut Vec<u8>) {
            let bytes = value.0.as_bytes_with_nul();
            length(bytes.len(), to);
            to.extend_from_slice(bytes);
        }
    }

    impl Owned for Bytes {
        type Owned = OwnedBytes;

        fn write(value: &OwnedBytes, to: &mut Vec<u8>) {
            length(value.0.len(), to);
            to.extend_from_slice(&value.0);
        }
    }

    impl<T: Owned> Owned for Maybe<T> {
        type Owned = Option<T::Owned>;

        fn write(value: &Option<T::Owned>, to: &mut Vec<u8>) {
            bool::write(&value.is_some(), to);
            if let Some(value) = value {
                T::write(value, to);
            }
        }
    }

    impl<T: Owned> Owned for Many<T> {
        type Owned = Vec<T::Owned>;

        fn write(value: &Vec<T::Owned>, to: &mut Vec<u8>) {
            length(value.len(), to);
            for one in value {
                T::write(one, to);
            }
        }
    }
}

#[cfg(feature = "owned")]
pub use owned::{OwnedBytes, OwnedText};
