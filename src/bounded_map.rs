//! Bounded maps with expiry, in memory.
//!
//! `moka` is generic, and each pair of key and value types takes seconds to compile. So all maps share one pair:
//! bytes, and a value behind `dyn Any`.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

/// A value with its type erased.
pub(crate) type AnyValue = Arc<dyn Any + Send + Sync>;

/// A value with its weight.
#[derive(Clone)]
struct Entry {
    value: AnyValue,
    weight: u32,
}

/// The bounds of a map.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Maximum sum of the weights; the maximum number of entries if each has the weight 1.
    pub weight: u64,
    /// Expiry of an entry.
    pub expiry: Expiry,
    /// The entry to evict from a full map.
    pub eviction: Eviction,
}

/// The expiry of an entry.
#[derive(Clone, Copy, Debug)]
pub enum Expiry {
    /// After the last access.
    Idle(Duration),
    /// After the insertion.
    Age(Duration),
    /// No expiry.
    Never,
}

/// The entry to evict from a full map.
#[derive(Clone, Copy, Debug)]
pub enum Eviction {
    /// A rarely used entry; a new key may be refused in favour of frequent keys.
    LeastFrequent,
    /// The least recently used entry; a new key is always accepted.
    LeastRecent,
}

/// A map of bounded size. Clones share the entries.
pub struct BoundedMap<V> {
    entries: Cache<Vec<u8>, Entry>,
    values: PhantomData<fn() -> V>,
}

impl<V> Clone for BoundedMap<V> {
    fn clone(&self) -> Self {
        Self {
            entries: self.entries.clone(),
            values: PhantomData,
        }
    }
}

impl<V> fmt::Debug for BoundedMap<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.entries.entry_count();
        f.debug_struct("BoundedMap")
            .field("entries", &entries)
            .finish()
    }
}

impl<V: Send + Sync + 'static> BoundedMap<V> {
    /// Creates an empty map.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            entries: build(bounds),
            values: PhantomData,
        }
    }

    /// Returns the value of a key.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<Arc<V>> {
        self.entries
            .get(key.as_ref())
            .map(|entry| typed(entry.value))
    }

    /// Returns the value of a key. A missing value is created once, also by concurrent calls.
    pub fn get_or_insert_with(&self, key: impl AsRef<[u8]>, create: impl FnOnce() -> V) -> Arc<V> {
        let mut create = Some(create);
        let mut create = || -> AnyValue {
            let create = create.take().expect("moka creates a value at most once");
            Arc::new(create())
        };
        typed(get_or_insert_with(&self.entries, key.as_ref(), &mut create))
    }

    /// Inserts or replaces the value of a key, with the weight 1.
    pub fn insert(&self, key: impl AsRef<[u8]>, value: V) {
        self.insert_weighted(key, value, 1);
    }

    /// Inserts or replaces the value of a key, with a weight.
    pub fn insert_weighted(&self, key: impl AsRef<[u8]>, value: V, weight: u32) {
        let value = Arc::new(value);
        self.entries
            .insert(key.as_ref().into(), Entry { value, weight });
    }
}

/// Restores the type of a value.
pub(crate) fn typed<V: Send + Sync + 'static>(value: AnyValue) -> Arc<V> {
    value
        .downcast()
        .expect("a map and a single flight hold values of one type")
}

fn build(bounds: Bounds) -> Cache<Vec<u8>, Entry> {
    let weight = |_: &Vec<u8>, entry: &Entry| entry.weight;
    let builder = Cache::builder().max_capacity(bounds.weight).weigher(weight);
    let builder = match bounds.expiry {
        Expiry::Idle(time) => builder.time_to_idle(time),
        Expiry::Age(time) => builder.time_to_live(time),
        Expiry::Never => builder,
    };
    let builder = match bounds.eviction {
        Eviction::LeastFrequent => builder,
        Eviction::LeastRecent => builder.eviction_policy(EvictionPolicy::lru()),
    };
    builder.build()
}

fn get_or_insert_with(
    entries: &Cache<Vec<u8>, Entry>,
    key: &[u8],
    create: &mut dyn FnMut() -> AnyValue,
) -> AnyValue {
    let create = || Entry {
        value: create(),
        weight: 1,
    };
    entries.get_with_by_ref(key, create).value
}
