/** What a host has of a kernel module: one look, for the checks before a change and for the doctor. */
import { isBefore, kernelGate, ownerOf } from "../ipvs/gates";
import { fact, lines } from "../kinds/probe";
import type { HostView } from "../kinds/want";

/** A module of the kernel, with the option that builds it. */
export interface ModuleRow {
    item: string;
    module: string;
    /** Without `CONFIG_`. */
    config: string;
}

/** What LVS needs beside schedulers and persistence engines. */
export const moduleRows: readonly ModuleRow[] = [
    { item: "IPVS", module: "ip_vs", config: "IP_VS" },
    { item: "FTP helper", module: "ip_vs_ftp", config: "IP_VS_FTP" },
    { item: "connection tracking", module: "nf_conntrack", config: "NF_CONNTRACK" },
    { item: "nftables (firewall marks, masquerading)", module: "nf_tables", config: "NF_TABLES" },
    { item: "nftables' masquerading", module: "nft_masq", config: "NFT_MASQ" },
    { item: "tunnel ipip", module: "ipip", config: "NET_IPIP" },
    { item: "tunnel ipip, IPv6 inside IPv4", module: "sit", config: "IPV6_SIT" },
    { item: "tunnel ipip over IPv6", module: "ip6_tunnel", config: "IPV6_TUNNEL" },
    { item: "tunnel gue", module: "fou", config: "NET_FOU" },
    { item: "tunnel gue over IPv6", module: "fou6", config: "IPV6_FOU" },
    { item: "tunnel gre", module: "ip_gre", config: "NET_IPGRE" },
    { item: "tunnel gre over IPv6", module: "ip6_gre", config: "IPV6_GRE" },
    { item: "dummy devices", module: "dummy", config: "DUMMY" },
];

export type ModuleState =
    | { state: "loaded" | "builtin" | "loadable" }
    /** modprobe or the kernel is told not to load it: by this line. */
    | { state: "blocked"; by: string }
    /** Built as a module, and its file is not there. */
    | { state: "absent" }
    /** This kernel was built without it. */
    | { state: "unbuilt"; config: string }
    /** There is no such module, and the host does not say how its kernel was built. */
    | { state: "none" }
    /** The host says nothing of its modules. */
    | { state: "unknown" };

export function moduleState({ probe }: HostView, module: string): ModuleState {
    const has = (section: string) => lines(probe, section).includes(module);
    if (has("modules")) return { state: "loaded" };
    const config = moduleRows.find((row) => row.module === module)?.config ?? ownerOf(module)?.config;
    const option = config === undefined ? undefined : optionOf({ probe }, config.replace(/^CONFIG_/, ""));
    if (has("builtin") || option === "y") return { state: "builtin" };
    const by = lines(probe, "blacklist").find((line) => forbids(line, module));
    if (by !== undefined) return { state: "blocked", by };
    if (has("loadable")) return { state: "loadable" };
    if (option === "m") return { state: "absent" };
    if (option === "n") return { state: "unbuilt", config: config!.replace(/^CONFIG_/, "") };
    const known = lines(probe, "loadable").length + lines(probe, "builtin").length + lines(probe, "config").length > 0;
    return { state: known ? "none" : "unknown" };
}

/** `FILE:install ip_vs /bin/false`, or the kernel's own `module_blacklist=`. A plain `blacklist` line stops udev alone. */
function forbids(line: string, module: string): boolean {
    const list = /^\/proc\/cmdline:module_blacklist=(.*)$/.exec(line)?.[1];
    if (list !== undefined) return list.split(",").includes(module);
    return new RegExp(`(^|:)install\\s+${module}\\s+(/usr)?/bin/(false|true)\\b`).test(line);
}

/** Why a module cannot be had, and what to do; undefined: it can, or the host does not say. */
export function moduleTrouble(view: HostView, module: string): { what: string; remedy: string } | undefined {
    const found = moduleState(view, module);
    const release = fact(view.probe, "release") ?? "?";
    const owner = ownerOf(module);
    const title = owner === undefined ? `the kernel module ${module}` : `${owner.title} (module ${module})`;
    const gate = owner === undefined ? undefined : kernelGate(owner.name);
    const young = gate !== undefined && isBefore(release, gate.since) ? `; it came with kernel ${gate.since}` : "";
    const other =
        module === "ip_vs"
            ? "use a kernel with it (Debian: linux-image-amd64)"
            : owner === undefined
              ? "use a kernel with it"
              : `use another ${owner.title.split(" ").slice(0, -1).join(" ")}, or a kernel with it`;
    switch (found.state) {
        case "blocked":
            return {
                what: `${title} may not be loaded here: ${found.by}`,
                remedy: `take that line away, if this host may run LVS`,
            };
        case "absent":
            return {
                what: `the running kernel ${release} has no module ${module} under /lib/modules/${release}`,
                remedy: lines(view.probe, "installed").includes(release)
                    ? "install the package with the rest of its modules"
                    : `reboot into the kernel that is installed${pendingText(view)}: an upgrade took this one's modules away`,
            };
        case "unbuilt":
            return {
                what: `the running kernel ${release} was built without ${title}: CONFIG_${found.config} is not set${young}`,
                remedy: other,
            };
        case "none":
            return {
                what: `the running kernel ${release} has no module ${module}${young}`,
                remedy: `install its modules package, boot the kernel whose modules are installed${pendingText(view)}, or ${other}`,
            };
        default:
            return undefined;
    }
}

function pendingText(view: HostView): string {
    const installed = lines(view.probe, "installed");
    return installed.length === 0 ? "" : ` (${installed.join(", ")})`;
}

/** An option of the kernel's configuration: its value, `n` where it is not set; undefined: the host does not say. */
export function optionOf({ probe }: Pick<HostView, "probe">, config: string): string | undefined {
    const line = lines(probe, "config").find(
        (each) => each.startsWith(`CONFIG_${config}=`) || each === `# CONFIG_${config} is not set`,
    );
    return line === undefined ? undefined : line.startsWith("#") ? "n" : line.slice(line.indexOf("=") + 1);
}
