import { type Kind, ranks } from "./kind";
import { lines, type Probe } from "./probe";

/**
 * A family's default route that comes before all others, keyed `ipv4/default` or `ipv6/default`: the one with the best
 * metric that there is. Its value is the line that `ip route` prints and takes: router, device, protocol and all, also
 * several next hops. A route with a worse metric (DHCP's, a router advertisement's) is neither read nor touched: ours
 * stands before it, and it counts again when ours goes. What has the best metric itself, as what ifupdown sets over
 * IPv4, is replaced in one move, and put back as it was found.
 */
export const routeKind: Kind<string> = {
    name: "route",
    group: "route",
    nature: "setting",
    tool: "ip",
    rank: () => ranks.route,
    read: (probe) => new Map(Object.keys(families).flatMap((key) => readBest(key, probe))),
    // What we want names the router; device and protocol are added by the host.
    satisfied: (want, have) => want === have || (isOurs(want) && routerOf(have) === routerOf(want)),
    set: (key, want) => [{ run: ["ip", family(key).option, "route", "replace", ...want.split(" ")] }],
    unset: (key, have) => [{ run: ["ip", family(key).option, "route", "del", ...have.split(" ")] }],
    stays: (_, probe, found) => {
        const devices = [...found.matchAll(/ dev (\S+)/g)].map(([, device]) => device!);
        const gone = devices.filter((device) => !hasDevice(probe, device));
        return gone.length === 0
            ? undefined
            : `what was found, "${found}", goes by ${gone.join(" and ")}, which is gone`;
    },
    describe: (key) => `route ${key}`,
};

/** By the settings that every interface has; a host that does not say is taken to have it. */
function hasDevice(probe: Probe, device: string): boolean {
    const settings = lines(probe, "sysctl");
    return settings.length === 0 || settings.some((line) => line.includes(`net/ipv4/conf/${device}/`));
}

interface Family {
    option: string;
    section: string;
    /** The best metric, as it is printed: IPv4's 0 is not, and IPv6 takes 0 for 1024. */
    metric: string | undefined;
}

const families: Record<string, Family> = {
    "ipv4/default": { option: "-4", section: "route.default", metric: undefined },
    "ipv6/default": { option: "-6", section: "route6.default", metric: "1" },
};

function family(key: string): Family {
    return families[key]!;
}

/** The default route through a router. `static`: routing daemons leave it alone. */
export function defaultRoute(router: string): { kind: "route"; key: string; value: string } {
    const key = `${router.includes(":") ? "ipv6" : "ipv4"}/default`;
    const { metric } = family(key);
    const value = `default via ${router} proto static${metric === undefined ? "" : ` metric ${metric}`}`;
    return { kind: "route", key, value };
}

/** Whether it is a value of ours, which leaves the device to the host. */
function isOurs(value: string): boolean {
    return routerOf(value) !== undefined && !/ dev /.test(value);
}

/** The one router that a default route goes through. */
export function routerOf(value: string): string | undefined {
    return /^default via (?:inet6 )?(\S+)/.exec(value)?.[1];
}

function readBest(key: string, probe: Probe): [string, string][] {
    const { section, metric } = family(key);
    for (const line of lines(probe, section)) {
        const words = lastingWords(line);
        const at = words.indexOf("metric");
        const other = at < 0 ? undefined : words[at + 1];
        if (words.includes("default") && !words.includes("tos") && other === metric) return [[key, words.join(" ")]];
    }
    return [];
}

/** What is printed of a route and cannot be said when it is made, or is the moment's: words alone, and with a value. */
const passing = ["dead", "linkdown", "pervasive", "offload", "trap", "rt_offload", "rt_trap", "offload_failed"];
const passingPairs = ["expires", "error", "nhid", "users", "age"];

/** With `-o` a line break within a route, before each of its next hops, is a backslash. */
function lastingWords(line: string): string[] {
    const words = line
        .replaceAll("\\", " ")
        .split(/\s+/)
        .filter((word) => word !== "" && !passing.includes(word));
    return words.filter(
        (word, index) => !passingPairs.includes(word) && !passingPairs.includes(words[index - 1] ?? ""),
    );
}
