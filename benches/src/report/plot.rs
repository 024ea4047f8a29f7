//! Grouped bar charts as SVG: a bar a subject, a group a case, whiskers from the least to the most.

use std::{error::Error, path::Path};

use plotters::{
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::rows::Summary;

const SIZE: (u32, u32) = (920, 520);
const INK: RGBColor = RGBColor(38, 38, 38);
const FAINT: RGBColor = RGBColor(110, 110, 110);
const GRID: RGBColor = RGBColor(226, 226, 226);
/// Okabe and Ito's colours, which most colour-blind people can tell apart.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(213, 94, 0),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(120, 120, 120),
    RGBColor(240, 228, 66),
];

/// A chart. Every series has a value, or none, for every group.
#[derive(Debug)]
pub(crate) struct Bars {
    pub(crate) title: String,
    /// Stands small under the title: where and when this was measured.
    pub(crate) note: String,
    pub(crate) axis: String,
    pub(crate) groups: Vec<String>,
    pub(crate) series: Vec<(String, Vec<Option<Summary>>)>,
    /// Writes a value for the axis and the bars.
    pub(crate) show: fn(f64) -> String,
}

impl Bars {
    /// Draws the chart into `file`.
    pub(crate) fn draw(&self, file: &Path) -> Result<(), Box<dyn Error>> {
        let root = SVGBackend::new(file, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let text = |size: i32, colour: RGBColor| ("sans-serif", size).into_font().color(&colour);
        root.draw(&Text::new(self.title.as_str(), (24, 18), text(22, INK)))?;
        root.draw(&Text::new(self.note.as_str(), (24, 46), text(12, FAINT)))?;
        self.legend(&root)?;
        let (_, plot) = root.split_vertically(100);
        // One round that went astray does not flatten the bars: its whisker is cut off.
        let tallest = self.values().map(|summary| summary.median).fold(1e-9, f64::max);
        let most = self.values().map(|summary| summary.max).fold(0.0, f64::max).min(tallest * 1.5);
        let mut chart = ChartBuilder::on(&plot)
            .margin_left(14)
            .margin_right(24)
            .margin_top(12)
            .x_label_area_size(52)
            .y_label_area_size(84)
            .build_cartesian_2d(0.0..self.groups.len() as f64, 0.0..most * 1.12)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .disable_x_axis()
            .y_desc(self.axis.as_str())
            .y_labels(7)
            .y_label_formatter(&|y| (self.show)(*y))
            .y_label_style(text(13, FAINT))
            .axis_desc_style(text(14, INK))
            .axis_style(FAINT)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .draw()?;
        for (group, name) in self.groups.iter().enumerate() {
            for (series, (_, values)) in self.series.iter().enumerate() {
                let Some(summary) = values[group] else { continue };
                let (left, right) = self.place(group, series);
                let colour = COLOURS[series % COLOURS.len()];
                let bar = [(left, 0.0), (right, summary.median)];
                let middle = (left + right) / 2.0;
                let whisker = vec![(middle, summary.min), (middle, summary.max.min(most))];
                chart.draw_series([Rectangle::new(bar, colour.mix(0.88).filled())])?;
                chart.draw_series([PathElement::new(whisker, INK.mix(0.55).stroke_width(1))])?;
                let anchored = text(12, INK).pos(Pos::new(HPos::Center, VPos::Bottom));
                let above = chart.backend_coord(&(middle, summary.max.min(most)));
                let label =
                    Text::new((self.show)(summary.median), (above.0, above.1 - 3), anchored);
                root.draw(&label)?;
            }
            let below = chart.backend_coord(&(group as f64 + 0.5, 0.0));
            let anchored = text(14, INK).pos(Pos::new(HPos::Center, VPos::Top));
            root.draw(&Text::new(name.as_str(), (below.0, below.1 + 10), anchored))?;
        }
        let (start, end) = (
            chart.backend_coord(&(0.0, 0.0)),
            chart.backend_coord(&(self.groups.len() as f64, 0.0)),
        );
        root.draw(&PathElement::new(vec![start, end], FAINT.stroke_width(1)))?;
        root.present()?;
        Ok(())
    }

    fn values(&self) -> impl Iterator<Item = Summary> {
        self.series.iter().flat_map(|(_, values)| values.iter().flatten().copied())
    }

    /// The left and right end of a bar on the axis, where each group is one wide.
    fn place(&self, group: usize, series: usize) -> (f64, f64) {
        let width = (0.76 / self.series.len() as f64).min(0.3);
        let start = group as f64 + 0.5 - width * self.series.len() as f64 / 2.0;
        let left = start + width * series as f64;
        (left + width * 0.06, left + width * 0.94)
    }

    fn legend(
        &self,
        root: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    ) -> Result<(), Box<dyn Error>> {
        let mut x = 24;
        for (series, (name, _)) in self.series.iter().enumerate() {
            let colour = COLOURS[series % COLOURS.len()];
            root.draw(&Rectangle::new([(x, 74), (x + 13, 87)], colour.mix(0.88).filled()))?;
            let style = ("sans-serif", 14).into_font().color(&INK);
            root.draw(&Text::new(name.as_str(), (x + 19, 74), style))?;
            // Without fonts a text's width is a guess; this one is generous.
            x += 19 + 8 * name.chars().count() as i32 + 18;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_names_its_parts() {
        let file = std::env::temp_dir().join(format!("rcubench-plot-{}.svg", std::process::id()));
        let bars = Bars {
            title: "A title".into(),
            note: "a note".into(),
            axis: "ops/s".into(),
            groups: vec!["left".into(), "right".into()],
            series: vec![
                ("one".into(), vec![Some(Summary::of(&[1.0, 2.0])), None]),
                ("two".into(), vec![None, Some(Summary::of(&[3.0]))]),
            ],
            show: |value| format!("{value:.1}"),
        };
        bars.draw(&file).unwrap();
        let svg = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        for text in ["A title", "a note", "ops/s", "left", "right", "one", "two", "1.5", "3.0"] {
            assert!(svg.contains(text), "{text} is missing");
        }
    }
}
