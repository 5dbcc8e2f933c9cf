//! The medians as a bar chart in SVG: a group for each scenario, a bar for each runtime, a whisker from
//! the fastest sample to the 90th percentile. The file needs nothing but itself.

use std::fmt::Write as _;

use super::Results;
use crate::contestant::Kind;
use crate::measure::Scenario;
use crate::stats::Summary;

const BAR: f64 = 46.0;
const GROUP_GAP: f64 = 40.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 96.0;
const PLOT: f64 = 320.0;
const LINE: f64 = 16.0;

/// The drawing; empty groups are left out.
pub(crate) fn svg(results: &Results) -> String {
    let groups: Vec<(Scenario, Vec<(Kind, Summary)>)> = results
        .scenarios
        .iter()
        .filter(|scenario| scenario.is_timed())
        .map(|scenario| (*scenario, bars(results, *scenario)))
        .filter(|(_, bars)| !bars.is_empty())
        .collect();
    let count: usize = groups.iter().map(|(_, bars)| bars.len()).sum();
    let plot_width = count as f64 * BAR + (groups.len() + 1) as f64 * GROUP_GAP;
    let width = (LEFT + plot_width + RIGHT).max(640.0);
    let height = TOP + PLOT + 62.0 + LINE * results.facts.len() as f64;
    let highest =
        groups.iter().flat_map(|(_, bars)| bars).map(|(_, wall)| wall.p90).fold(0.0, f64::max);
    let axis = Axis::for_values_up_to(highest);

    let mut drawing = Drawing::new(width, height);
    drawing.text(LEFT, 30.0, "title", "teu beside crun and runc: time of one command");
    let note = "median of all rounds; whisker: fastest sample to 90th percentile; lower is better";
    drawing.text(LEFT, 50.0, "note", note);
    legend(&mut drawing, &results.kinds);
    axis.draw(&mut drawing, width - RIGHT);
    let mut x = LEFT + GROUP_GAP;
    for (scenario, bars) in &groups {
        let group = bars.len() as f64 * BAR;
        drawing.text(x + group / 2.0, TOP + PLOT + 24.0, "group", scenario.name());
        for (kind, wall) in bars {
            bar(&mut drawing, &axis, x, *kind, wall);
            x += BAR;
        }
        x += GROUP_GAP;
    }
    for (at, fact) in results.facts.iter().enumerate() {
        drawing.text(LEFT, TOP + PLOT + 56.0 + LINE * at as f64, "note", fact);
    }
    drawing.end()
}

fn bars(results: &Results, scenario: Scenario) -> Vec<(Kind, Summary)> {
    results.kinds.iter().filter_map(|kind| Some((*kind, results.wall(scenario, *kind)?))).collect()
}

fn colour(kind: Kind) -> &'static str {
    match kind {
        Kind::Teu => "#d1495b",
        Kind::Crun => "#3d6fb6",
        Kind::Runc => "#7a9e7e",
        Kind::Floor => "#9a9a9a",
    }
}

fn legend(drawing: &mut Drawing, kinds: &[Kind]) {
    let mut x = LEFT;
    for kind in kinds {
        drawing.rectangle(x, 62.0, 12.0, 12.0, colour(*kind));
        let label = match kind {
            Kind::Floor => "floor (only the kernel calls that are needed)",
            other => other.name(),
        };
        drawing.text(x + 18.0, 72.5, "label", label);
        x += 44.0 + 7.5 * label.len() as f64;
    }
}

fn bar(drawing: &mut Drawing, axis: &Axis, x: f64, kind: Kind, wall: &Summary) {
    let top = axis.y(wall.median);
    drawing.rectangle(x + 4.0, top, BAR - 8.0, axis.y(0.0) - top, colour(kind));
    let middle = x + BAR / 2.0;
    let (low, high) = (axis.y(wall.min), axis.y(wall.p90));
    drawing.line(middle, low, middle, high, "whisker");
    for y in [low, high] {
        drawing.line(middle - 5.0, y, middle + 5.0, y, "whisker");
    }
    let digits = if wall.median < 10.0 { 2 } else { 1 };
    drawing.text(middle, high.min(top) - 6.0, "value", &format!("{:.digits$}", wall.median));
}

/// The vertical axis, in milliseconds.
struct Axis {
    step: f64,
    most: f64,
}

impl Axis {
    /// Steps of 1, 2 or 5 times a power of ten, of which there are at most eight.
    fn for_values_up_to(highest: f64) -> Self {
        let highest = highest.max(0.001);
        let magnitude = 10_f64.powf((highest / 8.0).log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .map(|factor| factor * magnitude)
            .into_iter()
            .find(|step| highest / step <= 8.0)
            .unwrap_or(highest);
        Self { step, most: (highest / step).ceil() * step }
    }

    fn y(&self, value: f64) -> f64 {
        TOP + PLOT * (1.0 - value / self.most)
    }

    fn draw(&self, drawing: &mut Drawing, right: f64) {
        let digits = if self.step < 1.0 { 1 } else { 0 };
        let mut value = 0.0;
        while value <= self.most + self.step / 2.0 {
            let y = self.y(value);
            drawing.line(LEFT, y, right, y, "grid");
            drawing.text(LEFT - 8.0, y + 4.0, "tick", &format!("{value:.digits$}"));
            value += self.step;
        }
        let middle = TOP + PLOT / 2.0;
        drawing.turned_text(22.0, middle, "wall time of the command, milliseconds");
    }
}

/// The text of the file while it grows.
struct Drawing {
    text: String,
}

impl Drawing {
    fn new(width: f64, height: f64) -> Self {
        let style = "text{font-family:'DejaVu Sans',Helvetica,Arial,sans-serif;font-size:12px;fill:#222}\
                     .title{font-size:18px;font-weight:bold}.note{font-size:11px;fill:#555}\
                     .group{font-size:14px;font-weight:bold;text-anchor:middle}.value,.turned{text-anchor:middle}\
                     .tick{text-anchor:end}.grid{stroke:#ddd}.whisker{stroke:#222}";
        let mut drawing = Self { text: String::new() };
        drawing.add(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\">\n<style>{style}</style>"
        ));
        drawing.rectangle(0.0, 0.0, width, height, "#fff");
        drawing
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{element}")
            .unwrap_or_else(|_| unreachable!("a string takes every text"));
    }

    fn rectangle(&mut self, x: f64, y: f64, width: f64, height: f64, fill: &str) {
        self.add(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{fill}\"/>"
        ));
    }

    fn line(&mut self, x1: f64, y1: f64, x2: f64, y2: f64, class: &str) {
        self.add(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" class=\"{class}\"/>"
        ));
    }

    fn text(&mut self, x: f64, y: f64, class: &str, content: &str) {
        let content = escaped(content);
        self.add(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{content}</text>"
        ));
    }

    fn turned_text(&mut self, x: f64, y: f64, content: &str) {
        let content = escaped(content);
        self.add(format_args!(
            "<text transform=\"translate({x:.1} {y:.1}) rotate(-90)\" class=\"turned\">{content}</text>"
        ));
    }

    fn end(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;
    use super::*;

    #[test]
    fn texts_are_escaped_and_values_shown() {
        let drawing = svg(&example());
        assert!(drawing.contains("kernel: &lt;any&gt; &amp; all"), "{drawing}");
        assert!(drawing.contains(">4.00</text>") && drawing.contains(">20.0</text>"), "{drawing}");
    }

    #[test]
    fn the_axis_covers_the_highest_value_in_round_steps() {
        for (highest, step, most) in
            [(30.0, 5.0, 30.0), (7.3, 1.0, 8.0), (0.9, 0.2, 1.0), (81.0, 20.0, 100.0)]
        {
            let axis = Axis::for_values_up_to(highest);
            assert!((axis.step - step).abs() < 1e-9, "{highest}: {}", axis.step);
            assert!((axis.most - most).abs() < 1e-9, "{highest}: {}", axis.most);
        }
    }
}
