//! The figures as lines for people and as one JSON document.

use serde_json::{Map, Value, json};

use crate::meter::Figures;

/// One measured case.
#[derive(Debug)]
pub(crate) struct Row {
    /// What was measured: `100 policies, evaluate`.
    pub(crate) case: String,
    /// One operation is one of these: `decision`, `entry`, `step`.
    pub(crate) unit: &'static str,
    /// What p50 and p99 are the time of, where that is not one operation: `batch`.
    pub(crate) timed: Option<&'static str>,
    /// What it was measured with.
    pub(crate) parameters: Vec<(&'static str, Value)>,
    /// The figures.
    pub(crate) figures: Figures,
    /// Further figures.
    pub(crate) more: Vec<(&'static str, Value)>,
    /// The most memory while it was measured.
    pub(crate) peak_rss_bytes: u64,
    /// What the same work takes without us.
    pub(crate) floors: Vec<Floor>,
    /// Why there are no figures; they are all zero then.
    pub(crate) skipped: Option<String>,
}

/// A floor or a peer.
#[derive(Debug)]
pub(crate) struct Floor {
    /// What it is.
    pub(crate) name: &'static str,
    /// Its figures, in the same units.
    pub(crate) figures: Figures,
}

impl Row {
    /// A row of figures, with the peak of memory as it is now.
    pub(crate) fn new(case: impl Into<String>, unit: &'static str, figures: Figures) -> Self {
        Self {
            case: case.into(),
            unit,
            timed: None,
            parameters: Vec::new(),
            figures,
            more: Vec::new(),
            peak_rss_bytes: crate::usage::peak_rss_bytes(),
            floors: Vec::new(),
            skipped: None,
        }
    }

    /// A row that says why there is none.
    pub(crate) fn skipped(case: impl Into<String>, unit: &'static str, why: String) -> Self {
        let none =
            crate::meter::Samples::default().figures(0, Default::default(), Default::default());
        Self { skipped: Some(why), ..Self::new(case, unit, none) }
    }

    /// Put a floor beside it, if one was measured.
    pub(crate) fn floor(mut self, name: &'static str, figures: Option<Figures>) -> Self {
        self.floors.extend(figures.map(|figures| Floor { name, figures }));
        self
    }

    pub(crate) fn parameter(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.parameters.push((name, value.into()));
        self
    }

    pub(crate) fn more(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.more.push((name, value.into()));
        self
    }

    pub(crate) fn timed(mut self, what: &'static str) -> Self {
        self.timed = Some(what);
        self
    }

    fn to_json(&self) -> Value {
        if let Some(why) = &self.skipped {
            return json!({ "name": self.case, "skipped": why });
        }
        let mut row = figures(&self.figures);
        row.insert("name".into(), self.case.as_str().into());
        row.insert("operation".into(), self.unit.into());
        row.insert("timed".into(), self.timed.unwrap_or(self.unit).into());
        row.insert("parameters".into(), object(&self.parameters));
        row.insert("peak_rss_bytes".into(), self.peak_rss_bytes.into());
        row.extend(self.more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let floors = self.floors.iter().map(|floor| {
            let mut map = figures(&floor.figures);
            map.insert("name".into(), floor.name.into());
            map.insert("ratio".into(), rounded(self.ratio(floor)));
            Value::Object(map)
        });
        row.insert("floors".into(), floors.collect());
        Value::Object(row)
    }

    /// Our throughput in theirs.
    fn ratio(&self, floor: &Floor) -> f64 {
        self.figures.throughput_per_s / floor.figures.throughput_per_s.max(1e-9)
    }
}

fn figures(figures: &Figures) -> Map<String, Value> {
    Map::from_iter([
        ("operations".into(), figures.operations.into()),
        ("p50_us".into(), rounded(figures.p50_us)),
        ("p99_us".into(), rounded(figures.p99_us)),
        ("throughput_per_s".into(), rounded(figures.throughput_per_s)),
        ("cpu_us_per_op".into(), rounded(figures.cpu_us_per_op)),
    ])
}

fn object(pairs: &[(&'static str, Value)]) -> Value {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

/// Three decimals are more than a clock can tell.
pub(crate) fn rounded(number: f64) -> Value {
    ((number * 1_000.0).round() / 1_000.0).into()
}

/// Everything as one JSON document.
pub(crate) fn document(benches: &[(&str, String, Vec<Row>)]) -> Value {
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let bench = |(name, load, rows): &(&str, String, Vec<Row>)| {
        let rows: Vec<Value> = rows.iter().map(Row::to_json).collect();
        json!({ "name": name, "load_before": load, "rows": rows })
    };
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "cpus": cpus,
        "benches": benches.iter().map(bench).collect::<Vec<_>>(),
    })
}

/// A bench as lines.
pub(crate) fn print(name: &str, load: &str, rows: &[Row]) {
    println!("── {name}   (load before: {load})");
    for row in rows {
        match &row.skipped {
            Some(why) => println!("{:<34}  skipped: {why}", row.case),
            None => print_row(row),
        }
    }
    println!();
}

fn print_row(row: &Row) {
    let timed = row.timed.unwrap_or(row.unit);
    println!("{:<34}  {}", row.case, line(&row.figures, row.unit, timed));
    for floor in &row.floors {
        let ratio = format!("ratio {:.2}", row.ratio(floor));
        let words = line(&floor.figures, row.unit, timed);
        println!("  {:<32}  {words}  {ratio}", floor.name);
    }
    let pairs = row.parameters.iter().chain(&row.more);
    let mut more: Vec<String> = pairs.map(|(name, value)| format!("{name} {value}")).collect();
    more.push(format!("peak {} MiB", row.peak_rss_bytes >> 20));
    println!("    {}", more.join(", "));
}

fn line(figures: &Figures, unit: &str, timed: &str) -> String {
    format!(
        "p50 {:>9.1} µs  p99 {:>9.1} µs a {timed}  {:>10.0}/s  {:>8.1} µs CPU a {unit}",
        figures.p50_us, figures.p99_us, figures.throughput_per_s, figures.cpu_us_per_op
    )
}
