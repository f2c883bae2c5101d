//! BTF written by hand, read back.

use super::*;

/// Writes BTF, type by type.
#[derive(Default)]
struct Writer {
    types: Vec<u8>,
    strings: Vec<u8>,
}

impl Writer {
    fn name(&mut self, name: &str) -> u32 {
        let offset = u32::try_from(self.strings.len()).unwrap();
        self.strings.extend(name.as_bytes());
        self.strings.push(0);
        offset
    }

    fn words(&mut self, words: &[u32]) {
        for word in words {
            self.types.extend(word.to_ne_bytes());
        }
    }

    /// A type of `kind` with `count` parts, which follow.
    fn one(&mut self, name: &str, kind: u32, count: u32, of: u32) {
        let name = self.name(name);
        self.words(&[name, kind << 24 | count, of]);
    }

    fn member(&mut self, name: &str, of: u32, bits: u32) {
        let name = self.name(name);
        self.words(&[name, of, bits]);
    }

    fn bytes(&self) -> Vec<u8> {
        let types = u32::try_from(self.types.len()).unwrap();
        let strings = u32::try_from(self.strings.len()).unwrap();
        let mut bytes = MAGIC.to_ne_bytes().to_vec();
        bytes.extend([1, 0]);
        for word in [24, 0, types, types, strings] {
            bytes.extend(u32::to_ne_bytes(word));
        }
        bytes.extend(&self.types);
        bytes.extend(&self.strings);
        bytes
    }
}

/// `int`, `struct inner`, an anonymous union around it, `struct outer` around that, and an
/// enum behind a const.
fn sample() -> Vec<u8> {
    let mut writer = Writer::default();
    writer.one("int", 1, 0, 4);
    writer.words(&[32]);
    writer.one("inner", 4, 2, 8);
    writer.member("first", 1, 0);
    writer.member("second", 1, 32);
    writer.one("", 5, 2, 8);
    writer.member("inside", 2, 0);
    writer.member("alone", 1, 0);
    writer.one("outer", 0x80 | 4, 3, 24);
    writer.member("head", 1, 0);
    writer.member("", 3, 64);
    writer.member("flag", 1, 1 << 24 | 0x83);
    writer.one("colour", 6, 2, 4);
    let (red, blue) = (writer.name("RED"), writer.name("BLUE"));
    writer.words(&[red, 3, blue, 7]);
    writer.one("", 10, 0, 5);
    writer.bytes()
}

fn place(path: &str) -> Option<Place> {
    let bytes = sample();
    let btf = Btf::parse(&bytes).unwrap();
    let (_, outer) = btf.types().find(|(_, one)| one.name == "outer")?;
    btf.place_of(outer, path)
}

fn bits(path: &str) -> Option<u32> {
    place(path).map(|place| place.bits)
}

#[test]
fn a_member_is_found_through_anonymous_members() {
    assert_eq!(bits("head"), Some(0));
    assert_eq!(bits("alone"), Some(64));
    assert_eq!(bits("inside.second"), Some(96));
}

#[test]
fn a_bit_field_lies_at_its_bit() {
    assert_eq!(bits("flag"), Some(131));
    assert!(place("flag").unwrap().bit_field);
    assert!(!place("head").unwrap().bit_field && !place("inside.second").unwrap().bit_field);
}

#[test]
fn a_member_that_is_not_there_is_not_found() {
    for path in ["", "second", "inside.third", "head.first", "inside..second"] {
        assert_eq!(bits(path), None, "{path}");
    }
}

#[test]
fn an_enum_behind_another_name_gives_its_values() {
    let bytes = sample();
    let btf = Btf::parse(&bytes).unwrap();
    let colour = btf.resolve(6).unwrap();
    assert_eq!((colour.kind, colour.name), (Kind::Enum, "colour"));
    let values: Vec<_> = btf.values(colour).collect();
    assert_eq!(values, [("RED", 3), ("BLUE", 7)]);
}

#[test]
fn a_name_that_stands_for_itself_resolves_to_nothing() {
    let mut writer = Writer::default();
    writer.one("loop", 8, 0, 1);
    let bytes = writer.bytes();
    assert!(Btf::parse(&bytes).unwrap().resolve(1).is_none());
}

#[test]
fn a_kind_of_a_later_sort_is_refused() {
    let mut writer = Writer::default();
    writer.one("later", 31, 0, 0);
    let error = Btf::parse(&writer.bytes()).unwrap_err();
    assert!(error.to_string().contains("later sort"), "{error}");
}

#[test]
fn bytes_cut_anywhere_are_refused_or_read_without_a_panic() {
    let bytes = sample();
    for end in 0..bytes.len() {
        if let Ok(btf) = Btf::parse(&bytes[..end]) {
            assert!(btf.types().count() <= 6);
        }
    }
}
