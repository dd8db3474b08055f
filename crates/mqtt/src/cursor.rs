//! Reads MQTT's big-endian fields off the front of a slice.
//!
//! *Invariant:* never panics, never allocates; text is UTF-8 without U+0000 `[MQTT-1.5.4-1]`
//! `[MQTT-1.5.4-2]`.

use crate::decode::DecodeError;

/// Where reading stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    pub(crate) rest: &'a [u8],
}

const SHORT: DecodeError = DecodeError::malformed("a field ends after the packet");

impl<'a> Cursor<'a> {
    pub(crate) const fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    #[inline]
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(SHORT)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        let (first, rest) = self.rest.split_first().ok_or(SHORT)?;
        self.rest = rest;
        Ok(*first)
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk::<2>().ok_or(SHORT)?;
        self.rest = rest;
        Ok(u16::from_be_bytes(*taken))
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk::<4>().ok_or(SHORT)?;
        self.rest = rest;
        Ok(u32::from_be_bytes(*taken))
    }

    /// A packet id, which is never zero `[MQTT-2.2.1-3]`.
    #[inline]
    pub(crate) fn packet_id(&mut self) -> Result<u16, DecodeError> {
        match self.u16()? {
            0 => Err(DecodeError::malformed("packet id 0")),
            id => Ok(id),
        }
    }

    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let count = self.u16()?;
        self.take(usize::from(count))
    }

    #[inline]
    pub(crate) fn text(&mut self) -> Result<&'a str, DecodeError> {
        let bytes = self.bytes()?;
        let text = std::str::from_utf8(bytes)
            .map_err(|_| DecodeError::malformed("a string is not UTF-8"))?;
        if memchr::memchr(0, bytes).is_some() {
            return Err(DecodeError::malformed("a string holds U+0000"));
        }
        Ok(text)
    }

    /// A variable byte integer of at most four bytes in its shortest form `[MQTT-1.5.5-1]`.
    pub(crate) fn varint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0_u32;
        for place in 0..4_u32 {
            let byte = self.u8()?;
            value |= u32::from(byte & 0x7F) << (7 * place);
            if byte & 0x80 == 0 {
                if byte == 0 && place > 0 {
                    return Err(DecodeError::malformed("a length is not in its shortest form"));
                }
                return Ok(value);
            }
        }
        Err(DecodeError::malformed("a length is longer than four bytes"))
    }

    /// As many bytes as a variable byte integer says.
    pub(crate) fn counted(&mut self) -> Result<&'a [u8], DecodeError> {
        let count = self.varint()?;
        self.take(usize::try_from(count).map_err(|_| SHORT)?)
    }

    pub(crate) fn end(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::malformed("bytes are left after the last field"))
        }
    }
}
