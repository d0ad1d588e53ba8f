/** What the listings of ipvsadm and /proc/net/ip_vs have in common: their first lines, and their words for protocols. */
import { type Line, linesOf, unreadable } from "./lines";
import type { Protocol } from "./model";

const HEADER = /^IP Virtual Server version (\d+\.\d+\.\d+) \(size=(\d+)\)$/;

/** The number of lines before the first service: the version, and two lines of titles that come only with a table. */
export function headerLength(source: string, lines: readonly Line[]): number {
    headerOf(source, lines);
    const titles = [/^Prot LocalAddress:Port\s/, /^\s*-> RemoteAddress:Port(\s|$)/];
    return 1 + titles.filter((title, index) => title.test(lines[index + 1]?.text ?? "")).length;
}

function headerOf(source: string, lines: readonly Line[]): { version: string; size: number } {
    const first = lines[0];
    const match = HEADER.exec(first?.text.trim() ?? "");
    if (match === null) {
        throw unreadable(first ?? { source, number: 0, text: "" }, "this should begin with IPVS's version");
    }
    return { version: match[1]!, size: Number(match[2]) };
}

/** The size of the connection table, as any `ipvsadm -Ln` or /proc/net/ip_vs says it first. */
export function parseSize(text: string): number {
    return headerOf("ipvsadm -Ln", linesOf("ipvsadm -Ln", text)).size;
}

const listedProtocols: Record<string, Protocol> = { TCP: "tcp", UDP: "udp", SCTP: "sctp" };

export function protocolListed(line: Line, word: string): Protocol {
    const protocol = Object.hasOwn(listedProtocols, word) ? listedProtocols[word] : undefined;
    if (protocol === undefined) {
        throw unreadable(line, "neither a service nor a real server");
    }
    return protocol;
}
