//! Unit tests of `keys::schedule`.

use super::*;
use proptest::prelude::*;

const ALGORITHM: SigningAlgorithm = SigningAlgorithm::Rs256;

fn schedule() -> Schedule {
    Schedule {
        rotation: Duration::days(90),
        algorithms: vec![ALGORITHM],
        hint_life: Duration::days(180),
    }
}

/// Applies a plan as the store does: at most one successor per key.
fn apply(keys: &mut Vec<KeyFacts>, plan: Plan, number: usize, now: Timestamp) {
    for new in plan.creates {
        assert!(!keys.iter().any(|key| key.predecessor == new.predecessor));
        keys.push(KeyFacts {
            kid: format!("k{number}"),
            algorithm: new.algorithm,
            predecessor: new.predecessor,
            created_at: now,
            signs_from: new.signs_from,
            revoked_at: None,
        });
    }
    for (kid, at) in plan.reschedules {
        let key = keys.iter_mut().find(|key| key.kid == kid);
        key.unwrap().signs_from = at;
    }
    keys.retain(|key| !plan.deletes.contains(&key.kid));
}

fn current(keys: &[KeyFacts], now: Timestamp) -> Vec<&KeyFacts> {
    let is_current = |key: &&KeyFacts| schedule().state(keys, key, now) == KeyState::Current;
    keys.iter().filter(is_current).collect()
}

proptest! {
    /// At every time one key signs, the number of rows is bounded, and a key is published before it
    /// signs, whatever the clock does and whenever the job runs, and after revocations.
    #[test]
    fn one_key_signs_at_every_time(
        steps in prop::collection::vec((-40_i64..130, 0_u8..10), 1..60)
    ) {
        let mut now = Timestamp::from_unix_seconds(1_767_225_600);
        let mut keys = Vec::new();
        apply(&mut keys, schedule().plan(&[], now), 0, now);
        for (number, (days, event)) in (1..).zip(steps) {
            now = now + Duration::days(days) + Duration::minutes(days);
            let before = current(&keys, now)[0].kid.clone();
            if event == 0 {
                let plan = Schedule::rotate(&keys, ALGORITHM, true, now);
                let revoked = keys.iter_mut().find(|key| key.kid == before).unwrap();
                revoked.revoked_at = Some(now);
                apply(&mut keys, plan, number * 2, now);
            } else if event < 8 {
                let plan = schedule().plan(&keys, now);
                apply(&mut keys, plan, number * 2, now);
                prop_assert_eq!(&current(&keys, now)[0].kid, &before);
                let new = format!("k{}", number * 2);
                let next = keys.iter().find(|key| key.kid == new);
                prop_assert!(next.is_none_or(|next| next.signs_from >= now + PUBLISHED_AHEAD));
            }
            prop_assert_eq!(current(&keys, now).len(), 1);
            let live = keys.iter().filter(|key| key.revoked_at.is_none()).count();
            prop_assert!(live < 16, "{} keys", live);
        }
    }
}

#[test]
fn an_algorithm_that_is_no_longer_used_verifies_until_its_tokens_have_expired() {
    let start = Timestamp::from_unix_seconds(1_767_225_600);
    let key = KeyFacts {
        kid: "k".to_owned(),
        algorithm: SigningAlgorithm::Es256,
        predecessor: String::new(),
        created_at: start,
        signs_from: start,
        revoked_at: None,
    };
    let state = |days| {
        schedule().state(
            std::slice::from_ref(&key),
            &key,
            start + Duration::days(days),
        )
    };
    assert_eq!(state(90), KeyState::Retired);
    assert_eq!(state(92), KeyState::Archived);
    assert_eq!(state(271), KeyState::Expired);
}
