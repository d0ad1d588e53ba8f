/** Rules of iptables as words: how one is said and how it is saved differ in order and spelling. */
import { kernelNetwork } from "../ipvs/address";
import { protocolName } from "./dialect";

/** The words of a rule as it is saved: in quotes where a word holds more than letters and digits. */
export function wordsOf(saved: string): string[] {
    return [...saved.matchAll(/"((?:[^"\\]|\\.)*)"|\S+/g)].map(
        ([word, quoted]) => quoted?.replace(/\\(.)/g, "$1") ?? word,
    );
}

/** What packets a rule is for, in one spelling and order: what stands before its target, its comment aside. */
export function matchOf(words: string[]): string {
    const match = words.slice(0, words.indexOf("-j"));
    const comment = match.indexOf("--comment");
    if (comment >= 0) match.splice(comment, 2);
    return match
        .join(" ")
        .split(/(?<!!) (?=-|! )/)
        .flatMap(inOneSpelling)
        .sort()
        .join(" ");
}

/** An option with its value; one that is there or not, as a program likes, is none. */
function inOneSpelling(option: string): string[] {
    const [name = "", ...values] = option.split(" ");
    const value = values.join(" ");
    const one = name in spellings ? spellings[name]!(value) : value;
    return one === undefined ? [] : [`${name} ${one}`];
}

const spellings: Record<string, (value: string) => string | undefined> = {
    "-m": (value) => (["comment", "tcp", "udp", "sctp"].includes(value) ? undefined : value),
    "-p": protocolName,
    "-s": networkOf,
    "-d": networkOf,
};

/** Undefined: every address. What is no network (a mask with holes) is as it is written. */
function networkOf(text: string): string | undefined {
    try {
        const network = kernelNetwork(text);
        return network.endsWith("/0") ? undefined : network;
    } catch {
        return text;
    }
}
