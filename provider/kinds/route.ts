import { familyOf, isAddress, isWithin } from "../ipvs/address";
import { addressKind, parseAddressKey } from "./address";
import { type Kind, type Refusal, ranks } from "./kind";
import { fact, lines, type Probe } from "./probe";

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
    boot: (key, want) => [
        { script: PATIENTLY, words: ["ip", family(key).option, "route", "replace", ...want.split(" ")] },
    ],
    unset: (key, have) => [{ run: ["ip", family(key).option, "route", "del", ...have.split(" ")] }],
    stays: (key, probe, found) => {
        const lacks = lacking(key, found, probe);
        return lacks === undefined ? undefined : `what was found, "${found}", cannot come back: ${lacks}`;
    },
    refuses: cuttingOff,
    describe: (key) => `route ${key}`,
};

/** Our own connection, where the host answers it through this route, and has no other to it without this one. */
function cuttingOff(key: string, probe: Probe, have: string, found: string | undefined): Refusal | undefined {
    const peer = fact(probe, "ssh.peer") ?? "";
    const table = lines(probe, family(key).table);
    if (!isAddress(peer) || `${familyOf(peer)}/default` !== key || table.length === 0) return undefined;
    const others = table.map((line) => lastingWords(line).join(" ")).filter((line) => line !== have);
    const leads = (line: string) => line.startsWith("default ") || covers(line, peer);
    if ([...others, found ?? ""].some(leads) || heldAddresses(probe).includes(peer)) return undefined;
    return {
        code: "LVS-GATEWAY-SSH",
        reason: `SSH to this host comes from ${peer}, which it answers through this route, ${have}, and there is no other: the host could not be reached again`,
        remedy: `Run it from a network that the host has another route to, or give it a route to ${peer} first. To keep this one, forget the claim: \`npx lvs claims release\`.`,
    };
}

/** The addresses of a host; none where it does not say. */
export function heldAddresses(probe: Probe): (string | undefined)[] {
    return [...addressKind.read(probe).keys()].map((each) => parseAddressKey(each).address.split(/[/ ]/)[0]);
}

/** An interface that is being brought up (ifupdown's allow-hotplug, a slow DHCP server) has its network a little later. */
const PATIENTLY = `
n=0
until o=$("$@" 2>&1); do
    n=$((n + 1)); [ $n -le 5 ] || { echo "$o" >&2; exit 1; }
    sleep 1
done`.trim();

interface Family {
    option: string;
    section: string;
    /** The section with all routes of the main table. */
    table: string;
    /** The best metric, as it is printed: IPv4's 0 is not, and IPv6 takes 0 for 1024. */
    metric: string | undefined;
}

const families: Record<string, Family> = {
    "ipv4/default": { option: "-4", section: "route.default", table: "route", metric: undefined },
    "ipv6/default": { option: "-6", section: "route6.default", table: "route6", metric: "1" },
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

/** What the kernel needs for a route and the host has no more; a host that does not say is taken to have it. */
function lacking(key: string, route: string, probe: Probe): string | undefined {
    const up = lines(probe, "route.up");
    const down = named("dev", route).find((device) => up.length > 0 && !up.includes(device));
    if (down !== undefined) return `${down} is not there, or down`;
    const held = heldAddresses(probe);
    const source = named("src", route).find((address) => held.length > 0 && !held.includes(address));
    if (source !== undefined) return `the host does not have ${source} any more`;
    const straight = lines(probe, family(key).table).filter((line) => !/ via /.test(line));
    // Of each next hop: a router that is said to be `onlink` needs no route to it.
    const lost = route.split(" nexthop ").flatMap((hop) => {
        const [router] = named("via", hop);
        const [device] = named("dev", hop);
        if (router === undefined || straight.length === 0 || / onlink\b/.test(hop)) return [];
        return straight.some((line) => named("dev", line)[0] === device && covers(line, router)) ? [] : [router];
    });
    return lost.length === 0 ? undefined : `${lost[0]} is on no network of that device any more`;
}

/** The words of a route that follow this one. */
function named(name: string, route: string): string[] {
    return [...route.matchAll(new RegExp(`(?:^| )${name} (?:inet6? )?(\\S+)`, "g"))].map(([, word]) => word!);
}

/** Whether a line of the routing table is a network that holds the address. */
export function covers(line: string, address: string): boolean {
    const [network = "", prefix] = (line.trim().split(" ")[0] ?? "").split("/");
    return isWithin(address, network, prefix === undefined ? undefined : Number(prefix));
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
