//! What a container's class may use and what is counted of it, as runc's `events --stats` has it (types/events.go).

use serde::Serialize;

use super::RdtRecord;
use super::resctrl::Resctrl;
use crate::error::Result;

/// A sample; what the host lacks is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RdtStats {
    /// What the kernel says of the L3 cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l3_cache_info: Option<L3CacheInfo>,
    /// The L3 line of the default class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l3_cache_schema_root: Option<String>,
    /// The L3 line of the container's class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l3_cache_schema: Option<String>,
    /// What the kernel says of memory bandwidth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_bw_info: Option<MemBwInfo>,
    /// The MB line of the default class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_bw_schema_root: Option<String>,
    /// The MB line of the container's class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_bw_schema: Option<String>,
    /// All lines of the container's class.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schemata: Vec<String>,
    /// Bytes of memory traffic, by cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mbm_stats: Option<Vec<MbmStats>>,
    /// Bytes in the cache, by cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmt_stats: Option<Vec<CmtStats>>,
}

/// info/L3.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct L3CacheInfo {
    /// The mask of the whole cache.
    pub cbm_mask: String,
    /// The fewest bits of a mask.
    pub min_cbm_bits: u64,
    /// How many classes there can be.
    pub num_closids: u64,
}

/// info/MB.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MemBwInfo {
    /// The step that values are rounded to.
    pub bandwidth_gran: u64,
    /// Whether the delay is linear.
    pub delay_linear: u64,
    /// The least value.
    pub min_bandwidth: u64,
    /// How many classes there can be.
    pub num_closids: u64,
}

/// Memory traffic since the group was made, in bytes; 0 where the counter is not available at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MbmStats {
    /// All.
    pub mbm_total_bytes: u64,
    /// To the nearest memory.
    pub mbm_local_bytes: u64,
}

/// Occupancy of a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CmtStats {
    /// In bytes.
    pub llc_occupancy: u64,
}

impl RdtRecord {
    /// Samples.
    ///
    /// # Errors
    /// resctrl cannot be opened.
    pub(crate) fn stats(&self) -> Result<RdtStats> {
        let Some(resctrl) = Resctrl::find()? else { return Ok(RdtStats::default()) };
        let number = |path: String| {
            resctrl.text(&path).and_then(|text| text.trim().parse().ok()).unwrap_or_default()
        };
        let root = lines(&resctrl.text("schemata").unwrap_or_default());
        let own = resctrl.text(&format!("{}/schemata", self.class)).unwrap_or_default();
        let mut stats = RdtStats { schemata: lines(&own), ..RdtStats::default() };
        if let Some(mask) = resctrl.text("info/L3/cbm_mask") {
            let info = |name: &str| number(format!("info/L3/{name}"));
            stats.l3_cache_info = Some(L3CacheInfo {
                cbm_mask: mask.trim().to_owned(),
                min_cbm_bits: info("min_cbm_bits"),
                num_closids: info("num_closids"),
            });
            stats.l3_cache_schema_root = line(&root, "L3");
            stats.l3_cache_schema = line(&stats.schemata, "L3");
        }
        if resctrl.text("info/MB/num_closids").is_some() {
            let info = |name: &str| number(format!("info/MB/{name}"));
            stats.mem_bw_info = Some(MemBwInfo {
                bandwidth_gran: info("bandwidth_gran"),
                delay_linear: info("delay_linear"),
                min_bandwidth: info("min_bandwidth"),
                num_closids: info("num_closids"),
            });
            stats.mem_bw_schema_root = line(&root, "MB");
            stats.mem_bw_schema = line(&stats.schemata, "MB");
        }
        let features = resctrl.text("info/L3_MON/mon_features").unwrap_or_default();
        let counts = |name: &str| features.lines().any(|feature| feature == name);
        let data = format!("{}/mon_data", self.counted());
        let caches: Vec<String> = resctrl.names(&data);
        let caches: Vec<&String> =
            caches.iter().filter(|name| name.starts_with("mon_L3_")).collect();
        let value = |cache: &str, name: &str| number(format!("{data}/{cache}/{name}"));
        let traffic = |cache: &&String| MbmStats {
            mbm_total_bytes: value(cache, "mbm_total_bytes"),
            mbm_local_bytes: value(cache, "mbm_local_bytes"),
        };
        let occupancy = |cache: &&String| CmtStats { llc_occupancy: value(cache, "llc_occupancy") };
        stats.mbm_stats = (counts("mbm_total_bytes") || counts("mbm_local_bytes"))
            .then(|| caches.iter().map(traffic).collect());
        stats.cmt_stats = counts("llc_occupancy").then(|| caches.iter().map(occupancy).collect());
        Ok(stats)
    }
}

fn lines(schemata: &str) -> Vec<String> {
    schemata.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

/// The line of a resource. L3CODE and L3DATA, into which L3 may be split, are for [`RdtStats::schemata`].
fn line(lines: &[String], resource: &str) -> Option<String> {
    lines.iter().find(|line| line.split(':').next() == Some(resource)).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_by_resource() {
        let lines = lines("    MB:0=100;1=100\nL3CODE:0=ff\n    L3:0=fff;1=fff\n\n");
        assert_eq!(line(&lines, "L3").as_deref(), Some("L3:0=fff;1=fff"));
        assert_eq!(line(&lines, "MB").as_deref(), Some("MB:0=100;1=100"));
        assert_eq!(line(&lines, "L2"), None);
    }

    #[test]
    fn what_is_not_there_is_not_said() {
        assert_eq!(serde_json::to_string(&RdtStats::default()).unwrap(), "{}");
    }
}
