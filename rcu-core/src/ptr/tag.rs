//! The arithmetic of tags: numbers in those low bits of a pointer to `T` that its alignment leaves
//! at zero.
//!
//! Pointers are never made from integers: `map_addr` changes the address and keeps the provenance.

/// The bits that a pointer to `T` leaves free.
pub(super) const fn mask<T>() -> usize {
    align_of::<T>() - 1
}

/// The tag of a word.
#[inline]
pub(super) fn tag_of<T>(word: *mut T) -> usize {
    word.addr() & mask::<T>()
}

/// The pointer of a word.
#[inline]
pub(super) fn pointer_of<T>(word: *mut T) -> *mut T {
    word.map_addr(|addr| addr & !mask::<T>())
}

/// The pointer of `word` with another tag, of which the bits that have no room are cut off.
#[inline]
pub(super) fn with_tag<T>(word: *mut T, tag: usize) -> *mut T {
    word.map_addr(|addr| (addr & !mask::<T>()) | (tag & mask::<T>()))
}

/// `raw` as a word whose tag is 0.
#[inline]
#[track_caller]
pub(super) fn untagged<T>(raw: *mut T) -> *mut T {
    assert!(tag_of(raw) == 0, "the pointer is not aligned: its low bits would be taken for a tag");
    raw
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use proptest::prelude::*;

    use super::*;

    #[repr(align(64))]
    struct Line;

    /// What must hold of `T` for every address and every tag.
    fn laws<T>(addr: usize, tag: usize, other: usize) -> Result<(), TestCaseError> {
        let room = align_of::<T>();
        let word = ptr::without_provenance_mut::<T>(addr);

        // A word is its pointer and its tag, and the pointer is aligned.
        prop_assert_eq!(pointer_of(word).addr() % room, 0);
        prop_assert_eq!(tag_of(word), addr % room);
        prop_assert_eq!(pointer_of(word).addr() + tag_of(word), addr);

        // Setting the tag sets it and nothing else; the last one counts.
        let tagged = with_tag(word, tag);
        prop_assert_eq!(tag_of(tagged), tag % room);
        prop_assert_eq!(pointer_of(tagged), pointer_of(word));
        prop_assert_eq!(with_tag(tagged, other), with_tag(word, other));
        prop_assert_eq!(with_tag(word, tag_of(word)), word);
        prop_assert_eq!(with_tag(word, 0), pointer_of(word));
        prop_assert_eq!(untagged(pointer_of(word)), pointer_of(word));
        Ok(())
    }

    proptest! {
        #[test]
        fn tags_and_pointers_do_not_mix(addr: usize, tag: usize, other: usize) {
            laws::<u8>(addr, tag, other)?;
            laws::<u16>(addr, tag, other)?;
            laws::<u64>(addr, tag, other)?;
            laws::<Line>(addr, tag, other)?;
        }

        #[test]
        fn a_tagged_pointer_still_reaches_its_object(value: u64, tag: usize) {
            let raw = Box::into_raw(Box::new(value));
            let back = pointer_of(with_tag(raw, tag));
            prop_assert_eq!(back, raw);
            // SAFETY: from `Box::into_raw` above; the provenance went along.
            prop_assert_eq!(*unsafe { Box::from_raw(back) }, value);
        }
    }

    #[test]
    fn room_is_what_alignment_leaves() {
        assert_eq!([mask::<u8>(), mask::<u16>(), mask::<u32>(), mask::<Line>()], [0, 1, 3, 63]);
        assert_eq!(tag_of(with_tag(ptr::null_mut::<u8>(), usize::MAX)), 0);
    }

    #[test]
    #[should_panic(expected = "not aligned")]
    fn a_misaligned_pointer_is_refused() {
        untagged(ptr::without_provenance_mut::<u64>(12));
    }
}
