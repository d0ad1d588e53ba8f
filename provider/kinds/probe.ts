/** What a probe brought back from a host: named sections of text, as the probe script wrote them. */

export interface Probe {
    /** The text of a section, "" where the host had nothing to say. */
    section(name: string): string;
}

/** The non-empty lines of a section. */
export function lines(probe: Probe, section: string): string[] {
    return probe
        .section(section)
        .split("\n")
        .filter((line) => line !== "");
}

/** Sections from a plain object; what the parser of the wire format and the tests build probes with. */
export function probeOf(sections: Record<string, string>): Probe {
    return { section: (name) => sections[name] ?? "" };
}

/** The value of one `name=value` line of the `facts` section. */
export function fact(probe: Probe, name: string): string | undefined {
    const line = lines(probe, "facts").find((each) => each.startsWith(`${name}=`));
    const value = line?.slice(name.length + 1).trim();
    return value === "" ? undefined : value;
}

/** Whether two probes are of one host: the same network of the same running kernel. One that does not say is another. */
export function isSameHost(one: Probe, other: Probe): boolean {
    const network = fact(one, "network") ?? "";
    return /^\S+ net:/.test(network) && network === fact(other, "network");
}
