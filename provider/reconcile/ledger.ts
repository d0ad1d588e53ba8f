/**
 * The ledger: for each resource that has something on a host, one plain file that says what it claims there. From it
 * follow destroy, sharing, reboot and drift, without further mechanism.
 *
 *     pulumi-lvs 1
 *     owner organization/shop/prod#RealServer/web1
 *     id lb1/tcp/192.0.2.100:80/192.0.2.21:80
 *     token 1f0c…
 *     sequence 12
 *     machine <machine-id> <product uuid>
 *     boot yes
 *     claim <rank> <kind> <key> <value> <found> <command>      (separated by tabs; while a value is changed, the one
 *                                                              that it has until then stands before the command)
 *     end <number of lines before it>                          (by which a file that is not whole is known)
 */
import { createHash } from "node:crypto";
import type { Value } from "../kinds";

export const FORMAT = 1;

/** What an object was before anybody claimed it; `unknown` when the record of it was lost. */
export type Found = { state: "absent" } | { state: "present"; value: Value } | { state: "unknown" };

export interface Claim {
    rank: number;
    kind: string;
    key: string;
    value: Value;
    found: Found;
    /** The value that was ours until now, while a change of it is under way. */
    was?: Value;
    /** The ready command that sets it at boot: shell text, may be empty. */
    command: string;
}

/** Who a file belongs to: a resource of a stack, by its URN, and the ID that it has. */
export interface Owner {
    /** `<stack>#<resource>`, see {@link stackOf}. */
    owner: string;
    id: string;
}

export interface LedgerFile extends Owner {
    /** The incarnation: new with each create, so that the delete of an older one releases nothing. */
    token: string;
    /** The order in which files of a host were made: the newest one's value holds. */
    sequence: number;
    /** Machine-id and product UUID: a clone of the host is another machine. */
    machine: string;
    /** Whether its claims are set again at boot. */
    boot: boolean;
    /** A destination that is being drained, and until when, in seconds of the host's clock. */
    draining?: { key: string; until: number };
    /** Destinations under repair: their weight stays 0, whatever is declared. */
    maintenance: string[];
    claims: Claim[];
}

/** The files of a host by name. */
export type Ledger = ReadonlyMap<string, LedgerFile>;

/** A file that this version cannot read: it is never rewritten, and nothing is decided past it. */
export class UnreadableLedger extends Error {
    override name = "UnreadableLedger";
    constructor(
        readonly file: string,
        readonly reason: string,
        /** Whose it seems to be, if that can be read. */
        readonly owner?: string,
    ) {
        super(`ledger file ${file}: ${reason}`);
    }

    /** A newer version wrote it, and can read it. */
    get newer(): boolean {
        return this.reason.startsWith("its format");
    }
}

/** The file's name: short, and the same for the same resource. */
export function fileName({ owner, id }: Owner): string {
    return `${createHash("sha256").update(`${owner}\n${id}`).digest("hex").slice(0, 20)}.claims`;
}

/** The stack of an owner: what stands before the `#`. */
export function stackOf(owner: string): string {
    const at = owner.indexOf("#");
    return at < 0 ? owner : owner.slice(0, at);
}

/** An owner in a person's words: `RealServer/web1 of organization/shop/prod`. */
export function describeOwner(owner: string): string {
    const at = owner.indexOf("#");
    return at < 0 ? owner : `${owner.slice(at + 1)} of ${owner.slice(0, at)}`;
}

/** The text of a file, its last line ended. */
export function renderLedger(file: LedgerFile): string {
    const lines = [
        `pulumi-lvs ${FORMAT}`,
        `owner ${file.owner}`,
        `id ${file.id}`,
        `token ${file.token}`,
        `sequence ${file.sequence}`,
        `machine ${file.machine}`,
        `boot ${file.boot ? "yes" : "no"}`,
        ...(file.draining === undefined ? [] : [`draining ${file.draining.until} ${file.draining.key}`]),
        ...file.maintenance.map((key) => `maintenance ${key}`),
        ...[...file.claims]
            .sort(byRank)
            .map((claim) =>
                [
                    "claim",
                    claim.rank,
                    claim.kind,
                    claim.key,
                    JSON.stringify(claim.value),
                    claim.found.state === "present" ? JSON.stringify(claim.found.value) : claim.found.state,
                    ...(claim.was === undefined ? [] : [JSON.stringify(claim.was)]),
                    escapeCommand(claim.command),
                ].join("\t"),
            ),
    ];
    if (file.claims.some(({ kind, key }) => /\t/.test(kind + key))) throw new Error("a ledger key cannot hold a tab");
    lines.push(`end ${lines.length}`);
    for (const line of lines) {
        if (/[\n\r\0]/.test(line)) throw new Error(`a ledger line cannot hold a line break: ${JSON.stringify(line)}`);
    }
    return `${lines.join("\n")}\n`;
}

function byRank(a: Claim, b: Claim): number {
    return a.rank - b.rank || (a.kind < b.kind ? -1 : a.kind > b.kind ? 1 : a.key < b.key ? -1 : a.key > b.key ? 1 : 0);
}

/** As `printf %b` reads it back, which is what the boot script does. */
function escapeCommand(command: string): string {
    return command.replace(/[\\\n\t]/g, (c) => ({ "\\": "\\\\", "\n": "\\n", "\t": "\\t" })[c]!);
}

function unescapeCommand(text: string): string {
    return text.replace(/\\(.)/g, (_, c: string) => ({ n: "\n", t: "\t" })[c] ?? c);
}

const HEADS = ["owner", "id", "token", "sequence", "machine", "boot", "draining"];

/** The owner that a text names, whatever else is wrong with it. */
export function ownerIn(text: string): string | undefined {
    return /^owner (.+)$/m.exec(text)?.[1];
}

/** Reads one file. */
export function parseLedger(name: string, text: string): LedgerFile {
    const lines = text.split("\n").filter((line) => line !== "");
    const format = /^pulumi-lvs (\d+)$/.exec(lines[0] ?? "")?.[1];
    if (format === undefined) throw new UnreadableLedger(name, "its first line is not `pulumi-lvs 1`: it was damaged");
    if (Number(format) > FORMAT) {
        throw new UnreadableLedger(name, `its format ${format} is newer than ${FORMAT}: a newer pulumi-lvs wrote it`);
    }
    if (lines.at(-1) !== `end ${lines.length - 1}`) throw new UnreadableLedger(name, "it is not whole: it was damaged");
    const heads = new Map<string, string>();
    const claims: Claim[] = [];
    const maintenance: string[] = [];
    for (const line of lines.slice(1, -1)) {
        if (line.startsWith("claim\t")) claims.push(parseClaim(name, line));
        else {
            const at = line.indexOf(" ");
            const [head, rest] = [line.slice(0, at), line.slice(at + 1)];
            if (head === "maintenance") maintenance.push(rest);
            else if (HEADS.includes(head)) heads.set(head, rest);
            else throw new UnreadableLedger(name, `${JSON.stringify(line)} is no line of it: it was damaged`);
        }
    }
    const need = (head: string, pattern = /^/): string => {
        const value = heads.get(head);
        if (value === undefined) throw new UnreadableLedger(name, `it has no line \`${head}\`: it was damaged`);
        if (!pattern.test(value)) throw new UnreadableLedger(name, `its line \`${head}\` was damaged`);
        return value;
    };
    if (fileName({ owner: need("owner"), id: need("id") }) !== name) {
        throw new UnreadableLedger(name, "it is not the file of the resource that it names: it was damaged or copied");
    }
    const draining = /^(\d+) (.+)$/.exec(heads.get("draining") ?? "");
    return {
        owner: need("owner"),
        id: need("id"),
        token: need("token"),
        sequence: Number(need("sequence", /^\d{1,15}$/)),
        machine: need("machine"),
        boot: need("boot", /^(yes|no)$/) === "yes",
        ...(draining === null ? {} : { draining: { until: Number(draining[1]), key: draining[2]! } }),
        maintenance,
        claims,
    };
}

function parseClaim(name: string, line: string): Claim {
    const fields = line.split("\t");
    const [, rank, kind, key, value, found] = fields;
    const was = fields.length === 8 ? fields[6] : undefined;
    try {
        if (fields.length < 7) throw new Error("a field is missing");
        if (fields.length > 8) throw new Error("there are too many fields");
        if (!/^\d{1,3}$/.test(rank!)) throw new Error("the rank is no number");
        return {
            rank: Number(rank),
            kind: kind!,
            key: key!,
            value: JSON.parse(value!) as Value,
            found:
                found === "absent" || found === "unknown"
                    ? { state: found }
                    : { state: "present", value: JSON.parse(found!) as Value },
            ...(was === undefined ? {} : { was: JSON.parse(was) as Value }),
            command: unescapeCommand(fields.at(-1)!),
        };
    } catch (error) {
        throw new UnreadableLedger(name, `${(error as Error).message} in ${JSON.stringify(line)}: it was damaged`);
    }
}
