/**
 * Every attribute of services and real servers, with every value that matters, and every change from one to another.
 * Each value stands here twice: as an input of the program, and as the words that `ipvsadm -Sn` prints for it, written
 * down from ipvsadm's own format and not by our renderer.
 */
import { schedulers } from "../../../provider/ipvs/schedulers";
import type { Properties } from "./process";

/** One value of an attribute. */
interface Variant {
    inputs: Properties;
    /** As `ipvsadm -Sn` prints it. */
    words: string;
}

/** A real server as a program names it in the map, with the address and port that the kernel shows. */
interface Server extends Variant {
    key: string;
    place: string;
    thresholds?: [upper: number, lower: number];
}

export interface Table {
    service: Variant;
    servers: Server[];
}

export interface Edit {
    /** What is changed, for the account of what was tried. */
    attribute: string;
    service: Identity;
    before: Table;
    after: Table;
    /** The real server is another one afterwards: by IPVS's own rules its port belongs to its key. */
    otherKey: boolean;
}

export interface Identity {
    says: string;
    family: 4 | 6;
    /** The key in `virtualServices`. */
    key: string;
    /** As `ipvsadm -Sn` names it. */
    words: string;
    /** The start of its line in `ipvsadm -Ln`. */
    listed: string;
    /** Its port; undefined under a mark. */
    port: number | undefined;
    mayOps: boolean;
}

type Kind = (index: number) => Identity;

const address = (family: 4 | 6, index: number) =>
    family === 4
        ? `10.99.${1 + Math.floor(index / 250)}.${1 + (index % 250)}`
        : `[fd00:99::${(index + 1).toString(16)}]`;

const byAddress =
    (protocol: "tcp" | "udp" | "sctp", family: 4 | 6, port: number): Kind =>
    (index) => {
        const place = `${address(family, index)}:${port}`;
        const option = { tcp: "-t", udp: "-u", sctp: "--sctp-service" }[protocol];
        return {
            says: `${protocol}${family}${port === 0 ? " port 0" : ""}`,
            ...{ family, port, key: `${protocol}/${place}`, words: `${option} ${place}` },
            ...{ listed: `${protocol.toUpperCase()} ${place}`, mayOps: protocol === "udp" },
        };
    };

/** ipvsadm prints a mark as a signed number. */
const byMark =
    (family: 4 | 6, from: number): Kind =>
    (index) => {
        const mark = from > 2 ** 31 ? from - index : from + index;
        return {
            says: `fwm${family}${from > 2 ** 31 ? " above 2^31" : ""}`,
            ...{ family, port: undefined, key: `fwm${family === 6 ? "6" : ""}/${mark}`, mayOps: true },
            words: `-f ${mark | 0}${family === 6 ? " -6" : ""}`,
            listed: `FWM ${mark | 0}${family === 6 ? " IPv6" : ""}`,
        };
    };

const kinds: Kind[] = [
    ...([4, 6] as const).flatMap((family) => [
        ...(["tcp", "udp", "sctp"] as const).map((protocol) => byAddress(protocol, family, 80)),
        byAddress("tcp", family, 0),
        byAddress("udp", family, 0),
        // /proc/net/ip_vs does not tell the families of marks apart: they are given other marks.
        byMark(family, family === 4 ? 1 : 100_001),
        byMark(family, family === 4 ? 2 ** 32 - 1 : 2 ** 32 - 100_001),
    ]),
];

const subsets = <T>([first, ...rest]: readonly T[]): T[][] =>
    first === undefined ? [[]] : subsets(rest).flatMap((set) => [set, [first, ...set]]);

/** The kernel of Debian has no twos: that it says so is a test of its own. */
const known = schedulers.filter(({ name }) => name !== "twos");

const schedulerVariants: Variant[] = [
    ...known.flatMap(({ name, flags }) =>
        subsets(flags).map((set) => ({
            inputs: { scheduler: name, schedulerFlags: set },
            words: `-s ${name}${set.length === 0 ? "" : ` -b ${set.join(",")}`}`,
        })),
    ),
    ...subsets(["flag-1", "flag-2", "flag-3"])
        .filter((set) => set.length > 0)
        .map((set) => ({ inputs: { scheduler: "wlc", schedulerFlags: set }, words: `-s wlc -b ${set.join(",")}` })),
];

const persistenceVariants = (family: 4 | 6, zero: boolean): Variant[] => {
    const persistence = (value: Properties, words: string): Variant => ({
        inputs: { persistence: value },
        words: `-s wlc ${words}`,
    });
    return [
        ...(zero ? [] : [{ inputs: {}, words: "-s wlc" }]),
        persistence({}, "-p 360"),
        persistence({ timeout: 1 }, "-p 1"),
        persistence({ timeout: 2_678_400 }, "-p 2678400"),
        persistence({ timeout: 300, engine: "sip" }, "-p 300 --pe sip"),
        ...(family === 4
            ? [
                  persistence({ netmask: 24 }, "-p 360 -M 255.255.255.0"),
                  persistence({ netmask: "255.255.0.0" }, "-p 360 -M 255.255.0.0"),
                  persistence({ netmask: "255.0.255.0" }, "-p 360 -M 255.0.255.0"),
                  persistence({ netmask: 0, engine: "sip" }, "-p 360 -M 0.0.0.0 --pe sip"),
              ]
            : [
                  persistence({ netmask: 64 }, "-p 360 -M 64"),
                  persistence({ netmask: 1 }, "-p 360 -M 1"),
                  persistence({ netmask: 127, engine: "sip" }, "-p 360 -M 127 --pe sip"),
              ]),
    ];
};

const opsVariants: Variant[] = [
    { inputs: {}, words: "-s wlc" },
    { inputs: { onePacket: true }, words: "-s wlc -o" },
    { inputs: { onePacket: true, persistence: {} }, words: "-s wlc -p 360 -o" },
];

const tunnels: Variant[] = [
    { inputs: {}, words: "--tun-type ipip" },
    { inputs: { tunnel: { type: "gue", port: 6080 } }, words: "--tun-type gue --tun-port 6080 --tun-nocsum" },
    { inputs: { tunnel: { type: "gue", port: 65535 } }, words: "--tun-type gue --tun-port 65535 --tun-nocsum" },
    {
        inputs: { tunnel: { type: "gue", port: 6080, checksum: "csum" } },
        words: "--tun-type gue --tun-port 6080 --tun-csum",
    },
    {
        inputs: { tunnel: { type: "gue", port: 6080, checksum: "remcsum" } },
        words: "--tun-type gue --tun-port 6080 --tun-remcsum",
    },
    { inputs: { tunnel: { type: "gre" } }, words: "--tun-type gre --tun-nocsum" },
    { inputs: { tunnel: { type: "gre", checksum: "csum" } }, words: "--tun-type gre --tun-csum" },
].map(({ inputs, words }) => ({ inputs: { forwarding: "tun", ...inputs }, words: `-i -w 1 ${words}` }));

const forwardingVariants: Variant[] = [
    { inputs: {}, words: "-g -w 1" },
    { inputs: { forwarding: "nat" }, words: "-m -w 1" },
    ...tunnels,
];

const weights = [0, 1, 65535, 65536, 2 ** 31 - 1];
const thresholds: [number, number][] = [
    [0, 0],
    [1, 0],
    [10, 10],
    [65536, 1],
    [2 ** 31 - 1, 2 ** 31 - 1],
];

/** Where the real server is: elsewhere, on the director itself (LocalNode), or of the other family. */
const rip = { 4: "10.77.1.21", 6: "fd00:77::21" };
const local = { 4: "10.77.1.10", 6: "::1" };

const inBrackets = (host: string) => (host.includes(":") ? `[${host}]` : host);

function server(id: Identity, host: string, { inputs, words }: Variant, port?: number): Server {
    const shown = port ?? id.port ?? 0;
    return {
        ...{ inputs, words, place: `${inBrackets(host)}:${shown}` },
        key: port === undefined ? host : `${inBrackets(host)}:${port}`,
    };
}

/** Every ordered pair of different values. */
const pairs = <T>(list: T[]): [T, T][] =>
    list.flatMap((from) => list.filter((to) => to !== from).map((to) => [from, to] as [T, T]));

/** All of them. Every edit has a service of its own. */
export function everyEdit(): Edit[] {
    const edits: Edit[] = [];
    for (const kind of kinds) {
        let index = 0;
        const next = () => kind(index++);
        const { family, port, mayOps } = kind(0);
        const other = family === 4 ? 6 : 4;
        const zero = port === 0;
        const plain: Variant = zero
            ? { inputs: { persistence: {} }, words: "-s wlc -p 360" }
            : { inputs: {}, words: "-s wlc" };
        const ofService = (attribute: string, variants: Variant[]) => {
            for (const [before, after] of pairs(variants)) {
                const service = next();
                const servers = [server(service, rip[family], forwardingVariants[0]!)];
                edits.push({
                    ...{ attribute, service, otherKey: false },
                    ...{ before: { service: before, servers }, after: { service: after, servers } },
                });
            }
        };
        const ofServer = (attribute: string, list: ((id: Identity) => Server)[]) => {
            for (const [one, two] of pairs(list)) {
                const service = next();
                const [before, after] = [one(service), two(service)];
                edits.push({
                    ...{ attribute, service, otherKey: before.place !== after.place },
                    before: { service: plain, servers: [before] },
                    after: { service: plain, servers: [after] },
                });
            }
        };
        if (!zero) ofService("scheduler and flags", schedulerVariants);
        ofService("persistence", persistenceVariants(family, zero));
        if (mayOps && !zero) ofService("one-packet scheduling", opsVariants);
        const at = (host: string) => (variant: Variant) => (id: Identity) => server(id, host, variant);
        ofServer("forwarding and tunnel", forwardingVariants.map(at(rip[family])));
        ofServer("forwarding of the director itself", forwardingVariants.map(at(local[family])));
        ofServer("tunnel into the other family", tunnels.map(at(rip[other])));
        ofServer(
            "weight",
            weights.map((weight) => at(rip[family])({ inputs: { weight }, words: `-g -w ${weight}` })),
        );
        ofServer(
            "thresholds",
            thresholds.map(([upperThreshold, lowerThreshold]) => (id) => ({
                ...server(id, rip[family], { inputs: { upperThreshold, lowerThreshold }, words: "-g -w 1" }),
                thresholds: [upperThreshold, lowerThreshold],
            })),
        );
        const nat: Variant = { inputs: { forwarding: "nat" }, words: "-m -w 1" };
        ofServer("port by nat, to another method and back", [
            (id) => server(id, rip[family], nat, 8080),
            (id) => server(id, rip[family], nat, 65535),
            ...forwardingVariants.slice(0, 3).map((variant) => (id: Identity) => server(id, rip[family], variant)),
            // Under a mark every method keeps the port that it was told.
            ...(port === undefined ? [(id: Identity) => server(id, rip[family], forwardingVariants[0]!, 81)] : []),
        ]);
    }
    return edits;
}
