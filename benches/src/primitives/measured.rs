//! What criterion measured, from the files that it writes.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::table::{median, sorted, spread};

/// Every row by its name, the id of a criterion group.
pub(crate) type Rows = BTreeMap<String, Row>;

/// A row's figures by contender, the function in the group.
pub(crate) type Row = BTreeMap<String, Figure>;

/// One contender in one row: nanoseconds per operation by run. A run that broke off may lack it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figure(BTreeMap<usize, f64>);

impl Figure {
    /// What each of the runs gave, in their order.
    pub(crate) fn of_runs(nanos: impl IntoIterator<Item = f64>) -> Self {
        Self(nanos.into_iter().enumerate().collect())
    }

    /// The median over runs.
    pub(crate) fn nanos(&self) -> f64 {
        median(&sorted(self.0.values().copied()))
    }

    /// Half the distance between the best and the worst run, in percent of the median, if there were several.
    pub(crate) fn spread_percent(&self) -> Option<f64> {
        (self.0.len() > 1).then(|| spread(&sorted(self.0.values().copied())))
    }

    /// This one's time over another's: the median over runs of what it was within each that has both. The contenders of a run follow each
    /// other within seconds, so what a machine does to a whole run is in neither. `None` where no run has both.
    pub(crate) fn over(&self, other: &Self) -> Option<f64> {
        let of_run = self.0.iter().filter_map(|(run, own)| Some(own / other.0.get(run)?));
        let ratios = sorted(of_run);
        let ratio = median(&ratios);
        (!ratios.is_empty() && ratio.is_finite()).then_some(ratio)
    }
}

/// Why criterion's files can't be read.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// The folder or one of its files is not there: the benches have to run first, and to their end.
    #[error("can't read {}: {source}", path.display())]
    Io {
        /// What could not be read.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not what this version of criterion writes.
    #[error("can't understand {}: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where it departs.
        source: serde_json::Error,
    },
}

/// Reads the folders of all runs, each with the whole output of criterion.
pub(crate) fn read(runs: &[PathBuf]) -> Result<Rows, Error> {
    let mut rows = Rows::new();
    for (index, run) in runs.iter().enumerate() {
        let mut found = Vec::new();
        walk(run, &mut found)?;
        for Sample { row, contender, nanos } in found {
            let figures = rows.entry(row).or_default();
            figures.entry(contender).or_insert_with(|| Figure(BTreeMap::new())).0.insert(index, nanos);
        }
    }
    Ok(rows)
}

/// One contender's result in one run.
struct Sample {
    row: String,
    contender: String,
    nanos: f64,
}

/// Collects what lies in folders called `new`, criterion's name for the last measurement.
fn walk(folder: &Path, found: &mut Vec<Sample>) -> Result<(), Error> {
    let failed = |source| Error::Io { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let is_last = path.file_name().is_some_and(|name| name == "new");
        if is_last && path.join(BENCHMARK).is_file() {
            found.push(sample(&path)?);
        } else if path.is_dir() {
            walk(&path, found)?;
        }
    }
    Ok(())
}

fn sample(folder: &Path) -> Result<Sample, Error> {
    let Benchmark { group_id, function_id, value_str, throughput } = json(&folder.join(BENCHMARK))?;
    let estimates: Estimates = json(&folder.join(ESTIMATES))?;
    let contender: Vec<_> = function_id.into_iter().chain(value_str).collect();
    let operations = throughput.and_then(|throughput| throughput.elements).unwrap_or(1).max(1);
    Ok(Sample {
        row: group_id,
        contender: contender.join("/"),
        nanos: estimates.median.point_estimate / operations as f64,
    })
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let bytes = fs::read(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    serde_json::from_slice(&bytes).map_err(|source| Error::Json { path: path.to_owned(), source })
}

const BENCHMARK: &str = "benchmark.json";

const ESTIMATES: &str = "estimates.json";

#[derive(Deserialize)]
struct Benchmark {
    group_id: String,
    function_id: Option<String>,
    value_str: Option<String>,
    throughput: Option<Throughput>,
}

/// What an iteration processed. Only a number of elements divides its time: bytes are the size of one operation.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Throughput {
    elements: Option<u64>,
}

/// Of the samples' times per iteration criterion's median is the one that a few interrupted samples don't move.
#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(run: &Path, contender: &str, throughput: &str, nanos: f64) {
        let folder = run.join("group").join(contender).join("new");
        let benchmark = format!(
            r#"{{"group_id":"pool/get","function_id":"{contender}","value_str":null,"throughput":{throughput}}}"#
        );
        let estimates =
            format!(r#"{{"median":{{"point_estimate":{nanos}}},"mean":{{"point_estimate":7777.0}}}}"#);
        fs::create_dir_all(&folder).expect("a folder can be made");
        fs::write(folder.join(BENCHMARK), benchmark).expect("a file can be written");
        fs::write(folder.join(ESTIMATES), estimates).expect("a file can be written");
    }

    #[test]
    fn a_figure_is_the_median_over_runs_with_its_spread() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let runs = ["1", "2", "3"].map(|run| folder.path().join(run));
        for (run, nanos) in runs.iter().zip([11.0, 9.0, 10.0]) {
            write(run, "nyx", "null", nanos);
        }
        let rows = read(&runs).expect("the files are right");
        let figure = &rows["pool/get"]["nyx"];
        assert_eq!((figure.nanos(), figure.spread_percent()), (10.0, Some(10.0)));
    }

    #[test]
    fn what_slows_a_whole_run_is_in_no_ratio() {
        let [ours, peer] = [[10.0, 30.0, 12.0], [20.0, 60.0, 20.0]].map(Figure::of_runs);
        assert_eq!(ours.over(&peer), Some(0.5));
        assert_eq!(ours.over(&Figure::of_runs([0.0; 3])), None);
    }

    #[test]
    fn a_run_that_broke_off_is_compared_with_no_other() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let runs = ["1", "2"].map(|run| folder.path().join(run));
        for (run, nanos) in runs.iter().zip([10.0, 40.0]) {
            write(run, "nyx", "null", nanos);
        }
        write(&runs[1], "opool", "null", 20.0);
        let row = read(&runs).expect("the files are right").remove("pool/get").expect("it was measured");
        assert_eq!(row["nyx"].over(&row["opool"]), Some(2.0));
        assert_eq!(Figure::of_runs([1.0]).over(&Figure::of_runs([])), None);
    }

    #[test]
    fn elements_are_operations_and_bytes_are_not() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        write(folder.path(), "nyx", r#"{"Elements":32}"#, 64.0);
        write(folder.path(), "opool", r#"{"Bytes":32}"#, 64.0);
        let rows = read(&[folder.path().to_owned()]).expect("the files are right");
        let row = &rows["pool/get"];
        assert_eq!((row["nyx"].nanos(), row["nyx"].spread_percent()), (2.0, None));
        assert_eq!(row["opool"].nanos(), 64.0);
    }

    #[test]
    fn a_run_that_never_was_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        assert!(matches!(read(&[folder.path().join("absent")]), Err(Error::Io { .. })));
    }
}
