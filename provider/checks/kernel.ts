/**
 * The checklist an LVS how-to starts with, done automatically: what this kernel and this host have of what LVS needs.
 * Rows are data; a new option is a row. Read-only: it loads nothing by looking.
 */
import { engines, schedulers } from "../ipvs/schedulers";
import { fact, lines } from "../kinds/probe";
import type { HostView } from "../kinds/want";

export interface ChecklistItem {
    /** What is looked at, in LVS's words. */
    item: string;
    /** `ok`: there, or can be loaded; `missing`: it cannot; `unknown`: the host does not say. */
    state: "ok" | "missing" | "unknown";
    /** What was found. */
    found: string;
    /** What to do, where something is missing and needed. */
    remedy?: string;
}

interface Row {
    item: string;
    module: string;
    config: string;
    needed: "always" | "sometimes";
}

const rows: Row[] = [
    { item: "IPVS", module: "ip_vs", config: "IP_VS", needed: "always" },
    ...schedulers.map(
        ({ name, module, config, title, since }): Row => ({
            item: `scheduler ${name} (${title}${since === undefined ? "" : `, since ${since}`})`,
            module,
            config: config.replace(/^CONFIG_/, ""),
            needed: "sometimes",
        }),
    ),
    ...engines.map(
        ({ name, module, config, title }): Row => ({
            item: `persistence engine ${name} (${title})`,
            module,
            config: config.replace(/^CONFIG_/, ""),
            needed: "sometimes",
        }),
    ),
    { item: "FTP helper", module: "ip_vs_ftp", config: "IP_VS_FTP", needed: "sometimes" },
    { item: "connection tracking", module: "nf_conntrack", config: "NF_CONNTRACK", needed: "sometimes" },
    { item: "nftables (firewall marks, masquerading)", module: "nf_tables", config: "NF_TABLES", needed: "sometimes" },
    { item: "tunnel ipip", module: "ipip", config: "NET_IPIP", needed: "sometimes" },
    { item: "tunnel ipip, IPv6 inside IPv4", module: "sit", config: "IPV6_SIT", needed: "sometimes" },
    { item: "tunnel ipip over IPv6", module: "ip6_tunnel", config: "IPV6_TUNNEL", needed: "sometimes" },
    { item: "tunnel gue", module: "fou", config: "NET_FOU", needed: "sometimes" },
    { item: "tunnel gre", module: "ip_gre", config: "NET_IPGRE", needed: "sometimes" },
    { item: "tunnel gre over IPv6", module: "ip6_gre", config: "IPV6_GRE", needed: "sometimes" },
];

/** Settings of the kernel's configuration that are no modules. */
const options = [
    { item: "IPVS over IPv6", config: "IP_VS_IPV6" },
    { item: "IPVS with conntrack (masquerading of forwarded packets)", config: "IP_VS_NFCT" },
    { item: "IPVS for TCP", config: "IP_VS_PROTO_TCP" },
    { item: "IPVS for UDP", config: "IP_VS_PROTO_UDP" },
    { item: "IPVS for SCTP", config: "IP_VS_PROTO_SCTP" },
];

const tools = ["ipvsadm", "ip", "nft", "flock", "timeout", "arping", "modprobe", "systemctl"];

/** The whole checklist of a host. */
export function checklist(view: HostView): ChecklistItem[] {
    const { probe } = view;
    const release = fact(probe, "release") ?? "unknown";
    return [
        { item: "running kernel", state: "ok", found: release },
        ...(fact(probe, "os") === undefined
            ? []
            : [{ item: "system", state: "ok" as const, found: fact(probe, "os")! }]),
        ...rows.map((row) => moduleItem(view, row, release)),
        ...options.map(({ item, config }) => optionItem(view, item, config)),
        connectionTable(view),
        ...tools.map((tool): ChecklistItem => {
            const path = fact(probe, `tool.${tool}`);
            return path === undefined
                ? { item: `program ${tool}`, state: "missing", found: "not on PATH", remedy: `install ${tool}` }
                : { item: `program ${tool}`, state: "ok", found: "on PATH" };
        }),
        ...lines(probe, "facts")
            .filter((line) => line.startsWith("checker="))
            .map(
                (line): ChecklistItem => ({
                    item: "health checker",
                    state: "ok",
                    found: `${line.slice(8)} runs here: use \`vip.external\` and \`keepWeight\` for what it moves`,
                }),
            ),
    ];
}

function moduleItem({ probe }: HostView, { item, module, config, needed }: Row, release: string): ChecklistItem {
    const has = (section: string) => lines(probe, section).includes(module);
    const option = optionOf(probe, config);
    if (has("modules")) return { item, state: "ok", found: `module ${module} is loaded` };
    if (has("builtin") || option === "y") return { item, state: "ok", found: "built into the kernel" };
    const blocked = lines(probe, "blacklist").find((line) => line.split(/ +/)[1] === module);
    if (has("loadable")) {
        return {
            item,
            state: "ok",
            found: `module ${module} can be loaded${blocked === undefined ? "" : ` (modprobe's config says: ${blocked})`}`,
        };
    }
    if (option === "m") {
        return {
            item,
            state: "missing",
            found: `CONFIG_${config}=m, and /lib/modules/${release} has no ${module}`,
            remedy: "install the modules of the running kernel, or boot the kernel that is installed",
        };
    }
    if (option === undefined && lines(probe, "loadable").length === 0)
        return { item, state: "unknown", found: "the host does not say" };
    const remedy = needed === "always" ? "use a kernel with it (Debian: linux-image-amd64)" : undefined;
    return {
        item,
        state: "missing",
        found: `CONFIG_${config} is not set`,
        ...(remedy === undefined ? {} : { remedy }),
    };
}

function optionItem({ probe }: HostView, item: string, config: string): ChecklistItem {
    const option = optionOf(probe, config);
    if (option !== undefined && option !== "n") return { item, state: "ok", found: `CONFIG_${config}=${option}` };
    return lines(probe, "config").length === 0
        ? { item, state: "unknown", found: "the kernel's configuration is not readable" }
        : { item, state: "missing", found: `CONFIG_${config} is not set` };
}

function optionOf(probe: HostView["probe"], config: string): string | undefined {
    const line = lines(probe, "config").find(
        (each) => each.startsWith(`CONFIG_${config}=`) || each === `# CONFIG_${config} is not set`,
    );
    return line === undefined ? undefined : line.startsWith("#") ? "n" : line.slice(line.indexOf("=") + 1);
}

/** 2^N places: as loaded, else as the kernel was built. */
function connectionTable({ probe }: HostView): ChecklistItem {
    const running = lines(probe, "parameters")
        .map((line) => /^ip_vs\.conn_tab_bits (\d+)/.exec(line)?.[1])
        .find((bits) => bits !== undefined);
    const built = optionOf(probe, "IP_VS_TAB_BITS");
    const bits = running ?? built;
    return {
        item: "connection table",
        state: bits === undefined ? "unknown" : "ok",
        found:
            bits === undefined
                ? "ip_vs is not loaded"
                : `2^${bits} = ${2 ** Number(bits)} places${running === undefined ? ", when loaded" : ""}`,
    };
}
