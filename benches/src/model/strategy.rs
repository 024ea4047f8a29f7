//! The two barrier strategies, which most models are run under.

/// Which barriers readers and drivers have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// Compiler fences in readers, a barrier on every thread in drivers.
    Membarrier,
    /// A full fence in readers, one in drivers.
    Fence,
}

impl Strategy {
    /// In the order of tables.
    pub(crate) const BOTH: [Self; 2] = [Self::Membarrier, Self::Fence];

    /// As it stands in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Membarrier => "Membarrier",
            Self::Fence => "Fence",
        }
    }
}
