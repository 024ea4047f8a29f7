//! Where a command's results go: rows to the JSON file, plots to their directory.

use std::{
    fmt::Display,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use super::{plot::Bars, rows::Row, verdict::Unusable};

/// Opened before anything is measured, so that a bad path costs no time.
#[derive(Debug)]
pub(crate) struct Output {
    json: Option<File>,
    plots: Option<PathBuf>,
}

impl Output {
    /// Creates the file and the directory, where they are wanted.
    pub(crate) fn open(json: Option<&Path>, plots: Option<&Path>) -> Result<Self, Unusable> {
        let unusable = |path: &Path, error| Unusable(format!("{}: {error}", path.display()));
        let json = json.map(|path| File::create(path).map_err(|error| unusable(path, error)));
        if let Some(path) = plots {
            fs::create_dir_all(path).map_err(|error| unusable(path, error))?;
        }
        Ok(Output { json: json.transpose()?, plots: plots.map(Path::to_owned) })
    }

    /// Writes `rows`, one object a line.
    pub(crate) fn rows(&mut self, rows: &[Row]) {
        for row in rows {
            self.object(&row.json());
        }
    }

    /// Writes one object on a line of its own.
    pub(crate) fn object(&mut self, object: &impl Display) {
        let Some(file) = &mut self.json else { return };
        let lines = format!("{object}\n");
        if let Err(error) = file.write_all(lines.as_bytes()) {
            eprintln!("rcubench: rows not written: {error}");
        }
    }

    /// Draws `bars` as `name`.svg, and says where. A plot that cannot be drawn is no error of what
    /// was measured.
    pub(crate) fn plot(&self, name: &str, bars: &Bars) {
        let Some(file) = self.plots.as_ref().map(|dir| dir.join(name).with_extension("svg")) else {
            return;
        };
        match bars.draw(&file) {
            Ok(()) => println!("  plot: {}", file.display()),
            Err(error) => eprintln!("rcubench: {}: {error}", file.display()),
        }
    }
}
