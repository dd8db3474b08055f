//! Little-endian reading and writing of bytes for frames and snapshots, bounds-checked.
//!
//! *Invariant:* a `Reader` never panics and never allocates more than it was given to read.
//! Lengths are `u32`; a longer field is our bug, since every input limit is far below.

/// The bytes ended early or a length or tag made no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("bytes end or make no sense at byte {at}")]
pub struct WireError {
    /// Where, from the start of what was read.
    pub at: usize,
}

/// Reads fields off the front of a byte slice.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes not read yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// The error for "here".
    #[must_use]
    pub const fn error(&self) -> WireError {
        WireError { at: self.at }
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let end = self.at.checked_add(count).ok_or(WireError { at: self.at })?;
        let taken = self.bytes.get(self.at..end).ok_or(WireError { at: self.at })?;
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let at = self.at;
        self.take(N)?.try_into().map_err(|_| WireError { at })
    }

    /// One byte.
    ///
    /// # Errors
    /// None is left.
    pub fn u8(&mut self) -> Result<u8, WireError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    /// Two bytes.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn u16(&mut self) -> Result<u16, WireError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// Four bytes.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn u32(&mut self) -> Result<u32, WireError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Eight bytes.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn u64(&mut self) -> Result<u64, WireError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Eight bytes, signed.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn i64(&mut self) -> Result<i64, WireError> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    /// Eight bytes as a float, bit for bit.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn f64(&mut self) -> Result<f64, WireError> {
        Ok(f64::from_bits(self.u64()?))
    }

    /// Sixteen bytes.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn u128(&mut self) -> Result<u128, WireError> {
        Ok(u128::from_le_bytes(self.array()?))
    }

    /// A `u32` length and as many bytes.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let at = self.at;
        let count = usize::try_from(self.u32()?).map_err(|_| WireError { at })?;
        self.take(count)
    }

    /// A `u32` length and as much UTF-8.
    ///
    /// # Errors
    /// Fewer bytes are left, or they are not UTF-8.
    pub fn text(&mut self) -> Result<&'a str, WireError> {
        let at = self.at;
        std::str::from_utf8(self.bytes()?).map_err(|_| WireError { at })
    }

    /// A flag byte, then a value when it is 1.
    ///
    /// # Errors
    /// The flag is neither 0 nor 1, or the value is wrong.
    pub fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, WireError>,
    ) -> Result<Option<T>, WireError> {
        let at = self.at;
        match self.u8()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(WireError { at }),
        }
    }

    /// A `u32` count, to be followed by as many items; the count is checked against the bytes
    /// left, so it can be used to reserve memory.
    ///
    /// # Errors
    /// More items than bytes are left.
    pub fn count(&mut self) -> Result<usize, WireError> {
        let at = self.at;
        let count = usize::try_from(self.u32()?).map_err(|_| WireError { at })?;
        if count > self.rest().len() { Err(WireError { at }) } else { Ok(count) }
    }

    /// Nothing may be left.
    ///
    /// # Errors
    /// Something is.
    pub fn end(&self) -> Result<(), WireError> {
        if self.rest().is_empty() { Ok(()) } else { Err(self.error()) }
    }
}

/// Appends fields to a byte vector; the counterpart of [`Reader`].
pub trait Writer {
    /// One byte.
    fn put_u8(&mut self, value: u8);
    /// Two bytes.
    fn put_u16(&mut self, value: u16);
    /// Four bytes.
    fn put_u32(&mut self, value: u32);
    /// Eight bytes.
    fn put_u64(&mut self, value: u64);
    /// Eight bytes, signed.
    fn put_i64(&mut self, value: i64);
    /// Eight bytes, bit for bit.
    fn put_f64(&mut self, value: f64);
    /// Sixteen bytes.
    fn put_u128(&mut self, value: u128);
    /// A `u32` count.
    fn put_count(&mut self, count: usize);
    /// A `u32` length and the bytes.
    fn put_bytes(&mut self, bytes: &[u8]);
    /// A `u32` length and the text.
    fn put_text(&mut self, text: &str) {
        self.put_bytes(text.as_bytes());
    }
    /// A flag byte and the value, if any.
    fn put_option<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T));
}

impl Writer for Vec<u8> {
    fn put_u8(&mut self, value: u8) {
        self.push(value);
    }
    fn put_u16(&mut self, value: u16) {
        self.extend_from_slice(&value.to_le_bytes());
    }
    fn put_u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_le_bytes());
    }
    fn put_u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_le_bytes());
    }
    fn put_i64(&mut self, value: i64) {
        self.extend_from_slice(&value.to_le_bytes());
    }
    fn put_f64(&mut self, value: f64) {
        self.put_u64(value.to_bits());
    }
    fn put_u128(&mut self, value: u128) {
        self.extend_from_slice(&value.to_le_bytes());
    }
    fn put_count(&mut self, count: usize) {
        self.put_u32(u32::try_from(count).expect("lists are bounded far below 4 G items"));
    }
    fn put_bytes(&mut self, bytes: &[u8]) {
        self.put_count(bytes.len());
        self.extend_from_slice(bytes);
    }
    fn put_option<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) {
        match value {
            None => self.push(0),
            Some(value) => {
                self.push(1);
                put(self, value);
            }
        }
    }
}
