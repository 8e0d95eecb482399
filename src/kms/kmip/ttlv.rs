//! TTLV, the encoding of KMIP messages: tag, type, length, value (KMIP 1.4, section 9.1).

use crate::Secret;

/// Writes items in TTLV: tag (3 bytes), type, length (4 bytes), value, and zeros up to a multiple of eight.
pub(super) struct TtlvWriter(pub(super) Secret<Vec<u8>>);

impl Default for TtlvWriter {
    fn default() -> Self {
        // Capacity enough that the bytes do not move: a move would leave copies of keys behind.
        Self(Secret::new(Vec::with_capacity(1024)))
    }
}

impl TtlvWriter {
    fn item(&mut self, tag: u32, kind: u8, value: &[u8]) {
        let bytes = self.0.expose_mut();
        bytes.extend_from_slice(&tag.to_be_bytes()[1..]);
        bytes.push(kind);
        bytes.extend_from_slice(&(value.len() as u32).to_be_bytes());
        bytes.extend_from_slice(value);
        // The length field counts the value alone, without this padding.
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }

    pub(super) fn structure(&mut self, tag: u32, content: &Self) {
        self.item(tag, kind::STRUCTURE, content.0.expose());
    }

    pub(super) fn integer(&mut self, tag: u32, value: u32) {
        self.item(tag, kind::INTEGER, &value.to_be_bytes());
    }

    pub(super) fn enumeration(&mut self, tag: u32, value: u32) {
        self.item(tag, kind::ENUMERATION, &value.to_be_bytes());
    }

    pub(super) fn text(&mut self, tag: u32, value: &str) {
        self.item(tag, kind::TEXT, value.as_bytes());
    }

    pub(super) fn bytes(&mut self, tag: u32, value: &[u8]) {
        self.item(tag, kind::BYTES, value);
    }
}

/// Reads the items of a structure. An item that is cut short ends it.
#[derive(Clone, Copy)]
pub(super) struct TtlvReader<'a>(pub(super) &'a [u8]);

impl<'a> TtlvReader<'a> {
    pub(super) fn items(self) -> impl Iterator<Item = (u32, &'a [u8])> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (head, after) = rest.split_first_chunk::<8>()?;
            let tag = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
            // The length comes from the network: past the end of the buffer the iteration ends, and
            // nothing is read.
            let value = after.get(..length)?;
            // The last item may lack its padding.
            rest = after.get(length.next_multiple_of(8)..).unwrap_or_default();
            Some((tag, value))
        })
    }

    pub(super) fn find(self, tag: u32) -> Option<&'a [u8]> {
        // One level alone: a structure's content is read by a reader of its own, so an equal tag further
        // down is not found.
        self.items().find(|(found, _)| *found == tag).map(|(_, value)| value)
    }
}

pub(super) fn number(value: &[u8]) -> Option<u32> {
    value.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes))
}

pub(super) const AES: u32 = 3;

pub(super) const GCM: u32 = 9;

/// Types of items: KMIP 1.4, section 9.1.1.2.
pub(super) mod kind {
    pub(in crate::kms::kmip) const STRUCTURE: u8 = 1;
    pub(in crate::kms::kmip) const INTEGER: u8 = 2;
    pub(in crate::kms::kmip) const ENUMERATION: u8 = 5;
    pub(in crate::kms::kmip) const TEXT: u8 = 7;
    pub(in crate::kms::kmip) const BYTES: u8 = 8;
}

/// Operations: KMIP 1.4, section 9.1.3.2.27.
pub(super) mod operation {
    pub(in crate::kms::kmip) const GET: u32 = 0x0a;
    pub(in crate::kms::kmip) const GET_ATTRIBUTES: u32 = 0x0b;
    pub(in crate::kms::kmip) const ENCRYPT: u32 = 0x1f;
    pub(in crate::kms::kmip) const DECRYPT: u32 = 0x20;
}

/// Tags: KMIP 1.4, section 9.1.3.1.
pub(super) mod tag {
    pub(in crate::kms::kmip) const ATTRIBUTE: u32 = 0x42_0008;
    pub(in crate::kms::kmip) const ATTRIBUTE_NAME: u32 = 0x42_000a;
    pub(in crate::kms::kmip) const ATTRIBUTE_VALUE: u32 = 0x42_000b;
    pub(in crate::kms::kmip) const BATCH_COUNT: u32 = 0x42_000d;
    pub(in crate::kms::kmip) const BATCH_ITEM: u32 = 0x42_000f;
    pub(in crate::kms::kmip) const BLOCK_CIPHER_MODE: u32 = 0x42_0011;
    pub(in crate::kms::kmip) const CRYPTOGRAPHIC_ALGORITHM: u32 = 0x42_0028;
    pub(in crate::kms::kmip) const CRYPTOGRAPHIC_PARAMETERS: u32 = 0x42_002b;
    pub(in crate::kms::kmip) const NONCE: u32 = 0x42_003d;
    pub(in crate::kms::kmip) const KEY_BLOCK: u32 = 0x42_0040;
    pub(in crate::kms::kmip) const KEY_MATERIAL: u32 = 0x42_0043;
    pub(in crate::kms::kmip) const KEY_VALUE: u32 = 0x42_0045;
    pub(in crate::kms::kmip) const OPERATION: u32 = 0x42_005c;
    pub(in crate::kms::kmip) const PROTOCOL_VERSION: u32 = 0x42_0069;
    pub(in crate::kms::kmip) const PROTOCOL_VERSION_MAJOR: u32 = 0x42_006a;
    pub(in crate::kms::kmip) const PROTOCOL_VERSION_MINOR: u32 = 0x42_006b;
    pub(in crate::kms::kmip) const REQUEST_HEADER: u32 = 0x42_0077;
    pub(in crate::kms::kmip) const REQUEST_MESSAGE: u32 = 0x42_0078;
    pub(in crate::kms::kmip) const REQUEST_PAYLOAD: u32 = 0x42_0079;
    pub(in crate::kms::kmip) const RESPONSE_PAYLOAD: u32 = 0x42_007c;
    pub(in crate::kms::kmip) const RESULT_MESSAGE: u32 = 0x42_007d;
    pub(in crate::kms::kmip) const RESULT_REASON: u32 = 0x42_007e;
    pub(in crate::kms::kmip) const RESULT_STATUS: u32 = 0x42_007f;
    pub(in crate::kms::kmip) const SYMMETRIC_KEY: u32 = 0x42_008f;
    pub(in crate::kms::kmip) const UNIQUE_IDENTIFIER: u32 = 0x42_0094;
    pub(in crate::kms::kmip) const DATA: u32 = 0x42_00c2;
    pub(in crate::kms::kmip) const TAG_LENGTH: u32 = 0x42_00ce;
    pub(in crate::kms::kmip) const ADDITIONAL_DATA: u32 = 0x42_00fe;
    pub(in crate::kms::kmip) const AUTHENTICATION_TAG: u32 = 0x42_00ff;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of KMIP 1.4, section 9.1.2.
    #[test]
    fn ttlv() {
        let mut writer = TtlvWriter::default();
        writer.integer(0x42_0020, 8);
        writer.enumeration(0x42_0020, 255);
        writer.text(0x42_0020, "Hello World");
        writer.bytes(0x42_0020, &[1, 2, 3]);
        let expected = concat!(
            "42002002000000040000000800000000",
            "4200200500000004000000FF00000000",
            "420020070000000B48656C6C6F20576F726C640000000000",
            "42002008000000030102030000000000",
        );
        assert_eq!(hex::encode_upper(writer.0.expose()), expected);
        let items: Vec<_> = TtlvReader(writer.0.expose()).items().collect();
        assert_eq!(items.len(), 4);
        assert_eq!(items[2], (0x42_0020, &b"Hello World"[..]));
        assert_eq!(TtlvReader(&writer.0.expose()[..11]).items().count(), 0, "cut short");
    }

    proptest::proptest! {
        /// A server's answer may be anything: it is read to its end, which is reached, or to where it makes no sense.
        #[test]
        fn any_bytes_come_to_an_end(
            mut bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400),
            lengths in proptest::collection::vec((0..400usize, 0..40u8), 0..12),
        ) {
            // Mostly small lengths, as random ones would end it at the first item.
            for (at, length) in lengths {
                if let Some(head) = bytes.get_mut(at / 8 * 8..).and_then(|rest| rest.get_mut(4..8)) {
                    head.copy_from_slice(&[0, 0, 0, length]);
                }
            }
            let items: Vec<_> = TtlvReader(&bytes).items().collect();
            proptest::prop_assert!(items.len() <= bytes.len() / 8);
            for (tag, value) in items {
                proptest::prop_assert!(value.len() <= bytes.len());
                proptest::prop_assert!(TtlvReader(&bytes).find(tag).is_some());
                let _ = (number(value), TtlvReader(value).items().count());
            }
        }
    }
}
