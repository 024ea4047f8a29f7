//! The array against a plain `Vec`, with growth that fails.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros)] // Models are plain; memory does not run out for them.

use super::*;
use proptest::prelude::*;

proptest! {
    /// Against a `Vec`, with growth that fails every so often. Nothing else in this test
    /// program uses the fault hook.
    #[test]
    fn agrees_with_a_vec(
        every in 0usize..4,
        ops in prop::collection::vec(prop::option::of(0usize..64), 0..200),
    ) {
        fault::set_every(every);
        let mut model: Vec<usize> = Vec::new();
        let mut darray = Darray::new();
        for (id, op) in ops.into_iter().enumerate() {
            match op {
                Some(at) if !model.is_empty() => {
                    let at = at % model.len();
                    prop_assert_eq!(darray.swap_remove(at), model.swap_remove(at));
                }
                _ => match darray.try_push(id) {
                    Ok(()) => model.push(id),
                    Err(back) => {
                        prop_assert_eq!(back, id);
                        prop_assert!(every != 0 && model.len() >= INLINE);
                    }
                },
            }
            prop_assert_eq!(darray.as_slice(), &model[..]);
            prop_assert_eq!(darray.heap_bytes() > 0, darray.items.spilled());
        }
        fault::set_every(0);
    }
}
