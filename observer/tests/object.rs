//! The compiled object holds exactly what the manifest says: no program, map or global more
//! or less, each where the loader looks for it.

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use object::{File, Object as _, ObjectSection as _, ObjectSymbol as _, SymbolKind};
    use observer_ebpf::wire::Kind;
    use observer_ebpf::wire::manifest::{LICENSE, MAPS, PROGRAMS, Question};
    use observer_ebpf::wire::settings::{
        FILTER_CGROUPS, FILTER_LOOPBACK, FILTER_NETNS, FILTER_NETWORKS, FILTER_PORTS, FILTERS,
        IN_THREE, MEMBERS, REPAIR_MASK, STACKS, TW_SUCCESS,
    };

    static OBJECT: &[u8] =
        aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/observer-probes"));

    /// Pairs of section and symbol, for the sections that `wanted` accepts.
    fn symbols(wanted: impl Fn(&str) -> bool, kind: SymbolKind) -> BTreeSet<(String, String)> {
        let file = File::parse(OBJECT).unwrap();
        let in_section = |symbol: &object::Symbol<'_, '_>| {
            let section = file.section_by_index(symbol.section_index()?).ok()?;
            let section = section.name().unwrap().to_owned();
            wanted(&section).then(|| (section, symbol.name().unwrap().to_owned()))
        };
        file.symbols()
            .filter(|symbol| symbol.kind() == kind && symbol.is_global())
            .filter_map(|symbol| in_section(&symbol))
            .collect()
    }

    fn names(symbols: BTreeSet<(String, String)>) -> BTreeSet<String> {
        symbols.into_iter().map(|(_, name)| name).collect()
    }

    fn owned(names: impl IntoIterator<Item = &'static str>) -> BTreeSet<String> {
        names.into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn its_programs_are_those_of_the_manifest() {
        let hooks = |section: &str| section.contains('/');
        let expected: BTreeSet<_> = PROGRAMS
            .iter()
            .map(|program| {
                let hook = program.hook;
                let section = format!("{}/{}", hook.section(), hook.target());
                (section, program.name.to_owned())
            })
            .collect();
        assert_eq!(symbols(hooks, SymbolKind::Text), expected);
        assert_eq!(expected.len(), PROGRAMS.len(), "a program stands twice");
    }

    #[test]
    fn its_maps_are_those_of_the_manifest() {
        let found = names(symbols(|section| section == "maps", SymbolKind::Data));
        assert_eq!(found, owned(MAPS.iter().copied()));
    }

    #[test]
    fn its_globals_are_those_that_the_agent_sets() {
        let found = names(symbols(|section| section == ".rodata", SymbolKind::Data));
        let members = MEMBERS.iter().map(|member| member.global);
        let others = [IN_THREE, REPAIR_MASK, STACKS, TW_SUCCESS, aya_log::LEVEL];
        let filters = [
            FILTERS,
            FILTER_PORTS,
            FILTER_NETWORKS,
            FILTER_NETNS,
            FILTER_CGROUPS,
            FILTER_LOOPBACK,
        ];
        assert_eq!(found, owned(members.chain(others).chain(filters)));
    }

    #[test]
    fn its_licence_lets_it_call_the_helpers_it_needs() {
        let file = File::parse(OBJECT).unwrap();
        let section = file.section_by_name("license").unwrap();
        let declared = section.data().unwrap().strip_suffix(b"\0").unwrap();
        assert_eq!(declared, LICENSE.as_bytes());
    }

    #[test]
    fn every_kind_of_record_belongs_to_one_question_and_has_a_program() {
        let asked: Vec<Kind> = Question::ALL
            .into_iter()
            .flat_map(|question| question.kinds().iter().copied())
            .collect();
        let mut sorted = asked.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, Kind::ALL);
        for kind in asked {
            assert!(PROGRAMS.iter().any(|program| program.kind == kind));
        }
    }
}
