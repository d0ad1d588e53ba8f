/** The processes of an operation that the Automation API runs from this one. */
import { readdirSync, readFileSync } from "node:fs";

/** Pulumi's own process, and the provider's, which Pulumi started. */
export function processesOf(): Partial<Record<"pulumi" | "provider", number>> {
    const all = readdirSync("/proc")
        .filter((name) => /^\d+$/.test(name))
        .flatMap((name) => {
            try {
                const [, parent] = /^\d+ \(.*\) \S (\d+)/s.exec(readFileSync(`/proc/${name}/stat`, "utf8")) ?? [];
                const words = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0");
                return [{ pid: Number(name), parent: Number(parent), words }];
            } catch {
                return [];
            }
        });
    const pulumi = all.find(({ parent, words }) => parent === process.pid && /(^|\/)pulumi$/.test(words[0]!))?.pid;
    const below = new Set([pulumi]);
    for (const { pid, parent } of all.sort((a, b) => a.pid - b.pid)) if (below.has(parent)) below.add(pid);
    const provider = all.find(
        ({ pid, words }) => below.has(pid) && words.some((word) => word.includes("cmd/dynamic-provider/")),
    )?.pid;
    return { ...(pulumi === undefined ? {} : { pulumi }), ...(provider === undefined ? {} : { provider }) };
}
