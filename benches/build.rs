//! Builds the measured loops of the peer liburcu, if the feature asks for them.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "liburcu")]
    liburcu();
}

#[cfg(feature = "liburcu")]
fn liburcu() {
    println!("cargo::rerun-if-changed=c/liburcu.c");
    let built = cc::Build::new()
        .file("c/liburcu.c")
        .warnings(true)
        .extra_warnings(true)
        .opt_level(2)
        // As a C program is compiled: thread-local storage is then found without a call.
        .pic(false)
        .flag("-fPIE")
        .try_compile("rcubench_liburcu");
    if let Err(error) = built {
        println!("cargo::error=the feature `liburcu` needs a C compiler and liburcu-dev: {error}");
        std::process::exit(1);
    }
    println!("cargo::rustc-link-lib=urcu-memb");
}
