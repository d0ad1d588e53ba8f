/**
 * The packet filter of a host as chains of rules, and what comes of a packet in them. What is not understood may go either
 * way: so nothing is said of it that is not certain.
 */
import { isAddress, isWithin } from "../ipvs/address";
import { protocolName } from "../kinds/dialect";
import { wordsOf } from "../kinds/iptablesRule";
import { lines } from "../kinds/probe";
import type { HostView } from "../kinds/want";

/** A chain of a filter; without a hook others jump to it. */
export interface Chain {
    /** Jumps stay within it: `inet filter`, `iptables`. */
    table: string;
    name: string;
    /** ip, ip6 or inet. */
    family: string;
    hook?: string;
    /** What comes of a packet at its end, where it has a hook. */
    policy: "accept" | "drop";
    /** In nft's words. */
    rules: string[];
}

/** A packet, as far as it is known. */
export interface Packet {
    family: "ip" | "ip6";
    protocol?: string | undefined;
    saddr?: string;
    daddr?: string;
    sport?: number | undefined;
    dport?: number | undefined;
    /** Never lo. */
    iif?: string | undefined;
    oif?: string | undefined;
    /** Whether it is the first of its connection: then its state is new, or untracked. */
    first?: boolean;
}

/** The chains at a hook that a packet passes before IPVS takes it, and drop it whatever else it is. */
export function droppedAt(hook: string, packet: Packet, chains: Chain[]): Chain | undefined {
    return chains.find((chain) => {
        if (chain.hook !== hook || (chain.family !== "inet" && chain.family !== packet.family)) return false;
        const ends = [...endsOf(chain, packet, chains, new Map())];
        return ends.every((end) => (end === "return" ? chain.policy : end) === "drop");
    });
}

/** Every filter chain of a host, whichever program lists it. */
export function chainsOf(view: HostView): Chain[] {
    return [...nftChains(view), ...iptablesChains(view)];
}

/** IPVS's own place at input and forward (NF_IP_PRI_NAT_SRC - 2); what stands behind it sees what it has rewritten. */
const IPVS_PRIORITY = 98;
const priorities: Record<string, number> = {
    raw: -300,
    mangle: -150,
    dstnat: -100,
    filter: 0,
    security: 50,
    srcnat: 100,
};

/** Out of `nft list ruleset`. A chain whose end did not come is none. */
function nftChains(view: HostView): Chain[] {
    const chains: Chain[] = [];
    let [family, table] = ["", ""];
    let chain: Chain | undefined;
    let rule = "";
    for (const line of lines(view.probe, "input").map((each) => each.trim())) {
        const head = /^(table|chain) (\S+)(?: (\S+))? \{/.exec(line);
        if (rule === "" && head?.[1] === "table") [, , family = "", table = ""] = head;
        else if (rule === "" && head?.[1] === "chain") {
            chain = { table: `${family} ${table}`, name: head[2]!, family, policy: "accept", rules: [] };
        } else if (chain === undefined) continue;
        else if (rule === "" && line === "}") {
            chains.push(chain);
            chain = undefined;
        } else if (rule === "" && / hook \w+ /.test(line)) {
            const [, hook, priority = ""] = /^type filter hook (\w+) priority ([^;]+);/.exec(line) ?? [];
            if (hook !== undefined && priorityOf(priority) < IPVS_PRIORITY) chain.hook = hook;
            if (/policy drop;/.test(line)) chain.policy = "drop";
        } else {
            // A long set goes over several lines.
            rule = `${rule} ${line}`.trim();
            if (rule.split("{").length > rule.split("}").length) continue;
            chain.rules.push(rule);
            rule = "";
        }
    }
    return chains;
}

function priorityOf(text: string): number {
    const [, name = "", sign = "+", by = "0"] = /^(-?\w+)(?: ([+-]) (\d+))?$/.exec(text.trim()) ?? [];
    const base = priorities[name] ?? Number(name === "" ? Number.NaN : name);
    const priority = base + Number(`${sign}${by}`);
    return Number.isNaN(priority) ? IPVS_PRIORITY : priority;
}

/** The filter tables that nft does not show, out of `iptables-save` and `ip6tables-save`, in nft's words. */
function iptablesChains(view: HostView): Chain[] {
    const whole: Chain[] = [];
    let chains: Chain[] = [];
    let tool = "";
    for (const line of lines(view.probe, "input.iptables")) {
        const [, name, policy] = /^:(\S+) (\S+)/.exec(line) ?? [];
        if (/^ip6?tables$/.test(line)) [tool, chains] = [line, []];
        else if (line === "COMMIT") whole.push(...chains);
        else if (name !== undefined) {
            chains.push({
                ...{ table: tool, name, family: tool === "ip6tables" ? "ip6" : "ip", rules: [] },
                ...(policy === "-" ? {} : { hook: name.toLowerCase() }),
                policy: policy === "DROP" ? "drop" : "accept",
            });
        } else {
            const [, of, rule = ""] = /^-A (\S+) ?(.*)$/.exec(line) ?? [];
            const chain = chains.find((each) => each.name === of);
            chain?.rules.push(inNftWords(rule, chain.family));
        }
    }
    return whole;
}

const ports = (value: string) => {
    const list = value.replaceAll(":", "-").split(",");
    return list.length > 1 ? `{ ${list.join(", ")} }` : list[0]!;
};
/** Options of iptables that are understood; `FAMILY` is ip or ip6. */
const options: Record<string, (value: string) => [selector: string, value: string]> = {
    "-i": (value) => ["iifname", `"${value.replace(/\+$/, "*")}"`],
    "-o": (value) => ["oifname", `"${value.replace(/\+$/, "*")}"`],
    "-s": (value) => ["FAMILY saddr", value],
    "-d": (value) => ["FAMILY daddr", value],
    "-p": (value) => ["meta l4proto", value],
    "--dport": (value) => ["th dport", ports(value)],
    "--dports": (value) => ["th dport", ports(value)],
    "--sport": (value) => ["th sport", ports(value)],
    "--sports": (value) => ["th sport", ports(value)],
    "--ctstate": (value) => ["ct state", value.toLowerCase()],
    "--state": (value) => ["ct state", value.toLowerCase()],
};
/** Matches whose options are understood. */
const modules = new Set(["tcp", "udp", "sctp", "comment", "conntrack", "state", "multiport"]);
const verdicts: Record<string, string> = { ACCEPT: "accept", DROP: "drop", REJECT: "reject", RETURN: "return" };
/** Targets that let a packet go on to the next rule; others are chains, or not known. */
const passing = new Set(["LOG", "NFLOG", "MARK", "CONNMARK", "TRACE", "AUDIT"]);

function inNftWords(rule: string, family: string): string {
    const words = wordsOf(rule);
    const said: string[] = [];
    let not = "";
    while (words.length > 0) {
        const word = words.shift()!;
        if (word === "!") {
            not = "!= ";
            continue;
        }
        if (word === "-j" || word === "-g") {
            const target = words.shift()!;
            const jump = `${word === "-g" ? "goto" : "jump"} ${target}`;
            return [...said, verdicts[target] ?? (passing.has(target) ? "" : jump)].join(" ").trim();
        }
        const option = options[word];
        if (option !== undefined) {
            const [selector, value] = option(words.shift() ?? "");
            said.push(`${selector.replace("FAMILY", family)} ${not}${value}`);
        } else if (word === "--comment") words.shift();
        else if (word !== "-m" || !modules.has(words.shift() ?? "")) {
            said.push("unknown");
            while (words.length > 0 && !/^[-!]/.test(words[0]!)) words.shift();
        }
        not = "";
    }
    return said.join(" ");
}

/** Whether a rule is for a packet; undefined: nobody knows. */
type Answer = boolean | undefined;
/** What may come of a packet in a chain; `next`: it goes on to the rule behind. */
type End = "accept" | "drop" | "return" | "next";
const ANY: readonly End[] = ["accept", "drop", "return", "next"];

/** All ends that a packet may come to in a chain. `known`: chains that were looked at. */
function endsOf(chain: Chain, packet: Packet, chains: Chain[], known: Map<string, Set<End>>): Set<End> {
    const before = known.get(chain.name);
    if (before !== undefined) return before;
    // The kernel has no chains that jump in a circle.
    known.set(chain.name, new Set(ANY));
    const ends = new Set<End>();
    const jump = (name: string, goes: boolean): readonly End[] => {
        const target = chains.find((each) => each.table === chain.table && each.name === name);
        if (target === undefined) return ANY;
        const there = [...endsOf(target, packet, chains, known)];
        return there.map((end) => (end === "return" && !goes ? "next" : end));
    };
    const through = chain.rules.every((rule) => {
        const found = endsOfRule(rule, packet, jump);
        for (const end of found) if (end !== "next") ends.add(end);
        return found.includes("next");
    });
    if (through) ends.add("return");
    known.set(chain.name, ends);
    return ends;
}

type Jump = (name: string, goes: boolean) => readonly End[];

const VALUE = String.raw`(!= )?(\{[^}]*\}|"[^"]*"|[^\s{}"]+)`;
const term = (selector: string) => new RegExp(`^(${selector}) ${VALUE}(?= |$)`);

/** What is understood of a rule before its verdict: a selector with a value, and how the packet answers to one of it. */
const terms: readonly [RegExp, (one: string, packet: Packet, selector: string) => Answer][] = [
    [term("iif|iifname"), (one, { iif }) => device(one, iif)],
    [term("oif|oifname"), (one, { oif }) => device(one, oif)],
    [
        term("(?:ip|ip6) [sd]addr"),
        (one, packet, selector) => within(one, packet[selector.slice(-5) as "saddr" | "daddr"]),
    ],
    [
        term("(?:tcp|udp|udplite|sctp|dccp|th) [sd]port"),
        (one, packet, selector) => inRange(one, packet[selector.slice(-5) as "sport" | "dport"]),
    ],
    [term("meta l4proto|ip protocol|ip6 nexthdr"), (one, { protocol }) => same(protocolName(one), protocol)],
    [term("meta nfproto"), (one, { family }) => one === (family === "ip6" ? "ipv6" : "ipv4")],
    // Who sends to the address itself has not been sent there by a rule.
    [term("ct status"), (one, { first }) => (first === true && one === "dnat" ? false : undefined)],
    // Another protocol's words were answered before; whose these are, nobody asks.
    [term(String.raw`(?:icmp|icmpv6|igmp|esp|ah|tcp) \w+`), () => undefined],
];
const PASSES =
    /^(?:counter packets \d+ bytes \d+|counter|log(?: (?:prefix "[^"]*"|level \w+|flags \w+|group \d+))*|comment "[^"]*")(?= |$)/;
/** What ends a rule in a way that is not looked into. */
const DECIDES = /^(?:queue|synproxy|tproxy|redirect|dnat|snat|masquerade|xt)\b/;

function endsOfRule(rule: string, packet: Packet, jump: Jump): readonly End[] {
    let matches: Answer = true;
    let rest = rule;
    // Behind a word that is not known, another may mean something else than it seems to.
    let sure = true;
    const may = (ends: readonly End[]) => (matches === true ? ends : [...new Set<End>([...ends, "next"])]);
    while (rest !== "") {
        const verdict = verdictOf(rest, jump) ?? mapped(rest, packet, jump);
        if (verdict !== undefined) return may(verdict);
        const known = answerOf(rest, packet);
        if (known !== undefined) {
            if (known.answer === false && sure) return ["next"];
            if (known.answer !== true) matches = undefined;
        } else if (!PASSES.test(rest)) [matches, sure] = [undefined, false];
        const length = known?.length ?? (PASSES.exec(rest) ?? /^(?:\{[^}]*\}|"[^"]*"|\S+)/.exec(rest))![0].length;
        rest = rest.slice(length).trimStart();
    }
    return ["next"];
}

function verdictOf(text: string, jump: Jump): readonly End[] | undefined {
    const [, word, name = ""] = /^(accept|drop|reject|return|continue|jump|goto)\b ?(\S*)/.exec(text) ?? [];
    if (word === undefined) return DECIDES.test(text) ? ANY : undefined;
    if (word === "jump" || word === "goto") return jump(name, word === "goto");
    return [({ reject: "drop", continue: "next" } as Record<string, End>)[word] ?? (word as End)];
}

/** `ct state vmap { established : accept, invalid : drop }`. One that is named is not looked into. */
function mapped(text: string, packet: Packet, jump: Jump): readonly End[] | undefined {
    const [, selector, entries] = /^([a-z0-9]+(?: [a-z0-9]+)?) vmap (?:\{([^}]*)\}|@\S+)/.exec(text) ?? [];
    if (selector === undefined) return undefined;
    if (entries === undefined) return ANY;
    const ends = new Set<End>();
    for (const entry of entries.split(",")) {
        const [one = "", verdict = ""] = entry.split(" : ").map((each) => each.trim());
        const known = answerOf(`${selector} ${one}`, packet);
        if (known === undefined || verdict === "") return ANY;
        if (known.answer === false) continue;
        for (const end of verdictOf(verdict, jump) ?? ANY) ends.add(end);
        if (known.answer === true) return [...ends];
    }
    return [...ends.add("next")];
}

/** How a packet answers to the term that a text begins with, and how long that is; undefined: it is none that is known. */
function answerOf(text: string, packet: Packet): { answer: Answer; length: number } | undefined {
    const state = term("ct state").exec(text);
    if (state !== null) {
        return { answer: negated(stateOf(state[3]!, packet), state[2]), length: state[0].length };
    }
    for (const [pattern, ask] of terms) {
        const found = pattern.exec(text);
        if (found === null) continue;
        const [{ length }, selector = "", not, value = ""] = found;
        const asked = () => either(listed(value).map((one) => ask(one, packet, selector)));
        const answer = ofOther(selector, packet) ? false : negated(asked(), not);
        return { answer: both(ownProtocol(selector, packet), answer), length };
    }
    return undefined;
}

/** A selector of one family is for no packet of the other, whatever is asked. */
function ofOther(selector: string, { family }: Packet): boolean {
    const own = selector.split(" ")[0];
    return (own === "ip" || own === "ip6") && own !== family;
}

/** A selector of one protocol is for no packet of another. */
function ownProtocol(selector: string, { protocol }: Packet): Answer {
    const [own = ""] = selector.split(" ");
    return /^(tcp|udp|udplite|sctp|dccp|icmp|icmpv6|igmp|esp|ah)$/.test(own) ? same(own, protocol) : true;
}

function stateOf(value: string, { first }: Packet): Answer {
    const states = listed(value).flatMap((each) => each.split(/[,|]/));
    const [isNew, untracked] = ["new", "untracked"].map((each) => states.includes(each));
    if (first !== true) return undefined;
    return isNew === untracked ? isNew : undefined;
}

const listed = (value: string): string[] =>
    value
        .replace(/^\{|\}$/g, "")
        .split(", ")
        .map((each) => each.trim().replaceAll('"', ""));
const negated = (answer: Answer, not: string | undefined): Answer =>
    not === undefined || answer === undefined ? answer : !answer;
const either = (answers: Answer[]): Answer =>
    answers.includes(true) ? true : answers.includes(undefined) ? undefined : false;
const both = (one: Answer, other: Answer): Answer =>
    one === false || other === false ? false : one === undefined || other === undefined ? undefined : true;
const same = (one: string, own: string | undefined): Answer => (own === undefined ? undefined : one === own);

function device(one: string, own: string | undefined): Answer {
    if (one === "lo") return false;
    if (own === undefined || one.startsWith("@")) return undefined;
    return one.endsWith("*") ? own.startsWith(one.slice(0, -1)) : one === own;
}

function within(one: string, own: string | undefined): Answer {
    const [base = "", prefix] = one.split("/");
    if (own === undefined || !isAddress(base) || !/^\d*$/.test(prefix ?? "")) return undefined;
    return prefix === undefined ? isWithin(own, base) : isWithin(own, base, Number(prefix));
}

function inRange(one: string, own: number | undefined): Answer {
    const [, from, to] = /^(\d+)(?:-(\d+))?$/.exec(one) ?? [];
    if (own === undefined || from === undefined) return undefined;
    return own >= Number(from) && own <= Number(to ?? from);
}
