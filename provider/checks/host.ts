/** What a host shows before anything is done there: what is wanted of it and it cannot give. */
import { kindOf } from "../kinds";
import { parseAddressKey } from "../kinds/address";
import { DEVICE_PREFIX } from "../kinds/kind";
import { fact, lines, type Probe } from "../kinds/probe";
import type { Finding, HostView, Want } from "../kinds/want";
import { finding } from "./codes";
import { ipvsadmFindings } from "./ipvsadm";
import { moduleState, moduleTrouble } from "./modules";

/** Everything that stands in the way of these wants. `property`: the input that names a device. */
export function hostFindings(view: HostView, wants: Want[], property = "interface"): Finding[] {
    return [
        ...rights(view),
        ...tools(view, wants),
        ...ipvsadmFindings(view, wants),
        ...wants.filter(({ kind }) => kind === "module").flatMap(({ key }) => moduleFindings(view, key)),
        ...devices(view, wants, property),
    ];
}

function rights({ probe }: HostView): Finding[] {
    const uid = fact(probe, "uid");
    if (uid === undefined || uid === "0") return [];
    return [
        finding(
            "LVS-NOT-ROOT",
            "connection",
            `this user is not root (uid ${uid}): set \`sudo: true\` in the connection`,
        ),
    ];
}

/** What to do where a program is missing: the Debian package that has it. */
const remedies: Record<string, string> = {
    ipvsadm: "install it (Debian: ipvsadm)",
    nft: "install nftables (or iptables; for IPv6 with ip6tables)",
    ip: "install it (Debian: iproute2)",
    modprobe: "install it (Debian: kmod)",
    systemctl: "this host has no systemd: set `persistAcrossReboot: false`",
};

/** Whether the host can announce an IPv4 VIP, and ask whether another host has it. */
export function speaksArp(probe: Probe): boolean {
    if (fact(probe, "tool.perl") !== undefined) return true;
    return fact(probe, "tool.arping") !== undefined && fact(probe, "arping") !== "other";
}

/** The program that an object is set with. */
function toolOf({ kind, key }: Want): string | undefined {
    const { tool } = kindOf(kind);
    const own = typeof tool === "function" ? tool(key) : tool;
    return own ?? { module: "modprobe", boot: "systemctl" }[kind];
}

function tools({ probe }: HostView, wants: Want[]): Finding[] {
    const missing = [...new Set(wants.map(toolOf))].flatMap((tool) =>
        tool !== undefined && tool in remedies && fact(probe, `tool.${tool}`) === undefined ? [tool] : [],
    );
    const findings = missing.map((tool) =>
        finding(
            tool === "systemctl" ? "LVS-NO-SYSTEMD" : "LVS-TOOL",
            "",
            `the host has no \`${tool}\`: ${remedies[tool]}`,
        ),
    );
    const announces = wants.some(
        ({ kind, key, value }) =>
            kind === "address" &&
            isOnNetwork(key) &&
            !key.includes(":") &&
            (value as { silent?: boolean }).silent !== true,
    );
    if (announces && !speaksArp(probe)) {
        findings.push(
            finding(
                "LVS-NO-ARPING",
                "",
                "the host has neither `perl` nor the `arping` of iputils: a VIP is not announced, and its neighbours may send to the old place for a while; and at boot it is not added, for nobody can ask whether another host has it (Debian: perl-base, or iputils-arping, and not the package arping, whose options mean something else)",
            ),
        );
    }
    return findings;
}

/** Whether the running kernel has a module or can load it. A host that does not say is taken at its word later. */
export function moduleFindings(view: HostView, module: string): Finding[] {
    const trouble = moduleTrouble(view, module);
    if (trouble === undefined) return [];
    const blocked = moduleState(view, module).state === "blocked";
    return [finding(blocked ? "LVS-MODULE-BLOCKED" : "LVS-MODULE", "", `${trouble.what}: ${trouble.remedy}`)];
}

/** Devices that wants name, each with the input that names it. */
function named({ kind, key, value }: Want, property: string): [device: string, property: string][] {
    if (kind === "address" && isOnNetwork(key)) return [[parseAddressKey(key).device, property]];
    if (kind === "sync") return [[(value as { interface: string }).interface, `sync.${key}.interface`]];
    return [];
}

function devices({ probe }: HostView, wants: Want[], property: string): Finding[] {
    const there = lines(probe, "mtu").map((line) => line.split(" ")[0]);
    if (there.length === 0) return [];
    const made = wants.filter(({ kind }) => kind === "link").map(({ key }) => key);
    const wanted = new Map(wants.flatMap((want) => named(want, property)).map((each) => [each.join(" "), each]));
    return [...wanted.values()]
        .filter(([device]) => !there.includes(device) && !made.includes(device))
        .map(([device, place]) =>
            finding("LVS-NO-INTERFACE", place, `this host has no interface ${device}; it has ${there.join(", ")}`),
        );
}

function isOnNetwork(key: string): boolean {
    const { device } = parseAddressKey(key);
    return device !== "lo" && !device.startsWith(DEVICE_PREFIX);
}

/** A service's address that nobody brings to the director. */
export function vipFindings(view: HostView, vips: string[], placed: boolean): Finding[] {
    if (placed) return [];
    const held = new Set(
        [...(view.objects.get("address")?.keys() ?? [])].map((key) => parseAddressKey(key).address.split("/")[0]),
    );
    return vips
        .filter((vip) => !held.has(vip))
        .map((vip) =>
            finding(
                "LVS-NO-VIP",
                "vip",
                `no device of this director has ${vip}, and none is named to take it: set \`interface\` of the Director, or \`vip.external\` where keepalived or a router brings it`,
            ),
        );
}
