/**
 * The packet filter in front of IPVS, which takes packets behind the input chains: what they drop never gets to a
 * service. Says something only where no rule can let the packet in; a rule that is not understood may.
 */
import type { InlineService } from "../inputs/service";
import { hostPort } from "../ipvs/address";
import type { ServiceIdentity } from "../ipvs/model";
import { lines } from "../kinds/probe";
import type { Finding, HostView } from "../kinds/want";
import { finding } from "./codes";
import { below } from "./words";

interface Traffic {
    protocol: string;
    address: string;
    port: number;
}

interface Chain {
    /** The table's: ip, ip6 or inet. */
    family: string;
    /** In a person's words. */
    name: string;
    drops: boolean;
    rules: string[];
}

/** What a service takes, and an input chain drops. */
export function inputFindings(
    id: ServiceIdentity,
    { marks }: Pick<InlineService, "marks">,
    view: HostView,
    at: string,
): Finding[] {
    const chains = [...nftChains(view), ...iptablesChains(view)];
    const traffic: [Traffic, string][] =
        "protocol" in id
            ? [[id, below(at, "port")]]
            : (marks ?? []).map((mark, index) => [mark, `${below(at, "marks")}[${index}].port`]);
    return traffic.flatMap(([each, property]) => {
        const chain = chains.find((one) => each.port !== 0 && drops(one, each));
        if (chain === undefined) return [];
        return [
            finding(
                "LVS-INPUT-DROP",
                property,
                `the input chain of ${chain.name} drops ${each.protocol} for ${hostPort(each.address, each.port)} before IPVS sees it: let it in`,
            ),
        ];
    });
}

/** The filter chains at the input hook, out of `nft list ruleset`. */
function nftChains(view: HostView): Chain[] {
    const chains: Chain[] = [];
    let [family, name] = ["", ""];
    for (const line of lines(view.probe, "input").map((each) => each.trim())) {
        const table = /^table (\S+) (\S+)/.exec(line);
        if (table !== null) [, family = "", name = ""] = table;
        else if (line === "}" || line === "nat") continue;
        else if (line.includes(" hook input ")) {
            const isFilter = /^type filter hook input (?:device \S+ )?priority ([^;]+);/.exec(line);
            const late =
                Number(isFilter?.[1]?.replace(/^filter( \+ )?/, "0").replace("srcnat", "100")) >= IPVS_PRIORITY;
            chains.push({
                family: isFilter === null || late ? "" : family,
                name: `the nftables table "${family} ${name}"`,
                drops: /policy drop;/.test(line),
                rules: [],
            });
        } else chains.at(-1)?.rules.push(line);
    }
    return chains;
}

/** The chain INPUT of a host without nft, out of `iptables-save` and `ip6tables-save`, in nft's words. */
function iptablesChains(view: HostView): Chain[] {
    const chains: Chain[] = [];
    let tool = "";
    for (const line of lines(view.probe, "input.iptables")) {
        const policy = /^:INPUT (\S+)/.exec(line)?.[1];
        if (line === "nat") continue;
        if (/^ip6?tables$/.test(line)) tool = line;
        else if (policy !== undefined) {
            const family = tool === "ip6tables" ? "ip6" : "ip";
            chains.push({ family, name: tool, drops: policy === "DROP", rules: [] });
        } else chains.at(-1)?.rules.push(inNftWords(line));
    }
    return chains;
}

/** What a rule of iptables says of interface, state and ports; what else it says stays as it is, and is not understood. */
function inNftWords(line: string): string {
    const rule = line.replace(/^-A INPUT ?/, "").replace(/-m comment --comment ("(\\.|[^"\\])*"|\S+) ?/g, "");
    const [, matches = "", target = ""] = /^(.*?) ?-[jg] (\S+)/.exec(rule) ?? [];
    const said = matches
        .replace(/-i lo\b/, 'iifname "lo"')
        .replace(
            /-m (?:conntrack --ctstate|state --state) (\S+)/,
            (_, states: string) => `ct state ${states.toLowerCase()}`,
        )
        .replace(/-p (\w+) -m (?:\w+ --dport|multiport --dports) (\S+)/, (_, protocol, ports: string) => {
            const list = ports.replaceAll(":", "-");
            return `${protocol} dport ${list.includes(",") ? `{ ${list.replaceAll(",", ", ")} }` : list}`;
        });
    const verdict = verdicts[target] ?? (passing.has(target) ? "" : `jump ${target}`);
    return [said, verdict].filter((part) => part !== "").join(" ");
}

const verdicts: Record<string, string> = { ACCEPT: "accept", DROP: "drop", REJECT: "reject", RETURN: "return" };
/** Targets that let a packet go on to the next rule; others are chains, or not known. */
const passing = new Set(["", "LOG", "NFLOG", "MARK", "CONNMARK", "TRACE", "AUDIT"]);

/** IPVS's own place at the hook (NF_IP_PRI_NAT_SRC - 2). */
const IPVS_PRIORITY = 98;

/** A rule that drops ports, whoever sends; iptables names the protocol first. */
const DROPS_PORTS =
    /^(?:meta l4proto \S+ |ip protocol \S+ )?(tcp|udp|sctp) dport (\{[^}]*\}|[0-9-]+) (counter packets \d+ bytes \d+ )?(drop|reject\b.*)$/;

function drops(chain: Chain, traffic: Traffic): boolean {
    const family = traffic.address.includes(":") ? "ip6" : "ip";
    if (chain.family !== "inet" && chain.family !== family) return false;
    for (const rule of chain.rules) {
        if (/^(counter packets \d+ bytes \d+ |counter )?(drop|reject\b.*)$/.test(rule)) return true;
        if (DROPS_PORTS.test(rule) && mayMatch(rule, traffic)) return true;
        if (!/\b(accept|jump|goto|return|vmap|queue)\b|@/.test(rule)) continue;
        if (mayMatch(rule, traffic)) return false;
    }
    return chain.drops;
}

/** Whether a rule may let in the first packet of a client: false only where it certainly does not. */
function mayMatch(rule: string, { protocol, port }: Traffic): boolean {
    if (/^(iif|iifname) "?lo"? /.test(rule)) return false;
    const verdicts = /\bct state vmap \{([^}]*)\}/.exec(rule)?.[1];
    if (verdicts !== undefined && !/new|untracked/.test(verdicts)) return false;
    const state = /\bct state (?:\{ )?([a-z, |]+?)(?: \})? (?:accept|counter)/.exec(rule)?.[1];
    if (state !== undefined && !/new|untracked/.test(state)) return false;
    if (/\b(icmp|icmpv6|igmp|ipv6-icmp|esp|ah)\b/.test(rule)) return false;
    const ports = /\b(tcp|udp|sctp|th) dport (\{[^}]*\}|[0-9-]+)/.exec(rule);
    if (ports === null) return true;
    if (ports[1] !== "th" && ports[1] !== protocol) return false;
    return [...ports[2]!.matchAll(/(\d+)(?:-(\d+))?/g)].some(
        ([, from, to]) => port >= Number(from) && port <= Number(to ?? from),
    );
}
