/**
 * One host's queue. Operations that arrive while the host is busy join the next batch; a batch is one script. A probe is
 * kept: it serves reads for a moment, and plans for ever, because a script that was planned from it runs only if the
 * host is still so. A host that keeps changing under us is an error after a few attempts.
 */

import { type Group, groups, isKind, kindOf } from "../kinds";
import { sysctlPath } from "../kinds/sysctl";
import { type Connection, connectionKey, connectionSecrets, describeConnection } from "../ssh/connection";
import { ConnectionError } from "../ssh/errors";
import { printable, redactor } from "../ssh/redact";
import { runScript } from "../ssh/session";
import { leftBehind, StepError, withAftermath } from "./errors";
import type { LedgerFile } from "./ledger";
import { type Deed, type Plan, planUndo, type Step, satisfied, show } from "./plan";
import {
    type Batch,
    LOCK_WAIT,
    renderCounters,
    renderOutlast,
    renderScript,
    renderWait,
    type Script,
    sameFile,
} from "./script";
import { type HostState, hostTime, machineOf, parseSections, parseState, valueAt } from "./state";

/** What is done on a host: planned anew whenever the host turns out to be another than was thought. */
export interface Operation {
    /** In a person's words: "create web1". */
    says: string;
    /** Settings that it needs to see, as sysctl keys. */
    settings: string[];
    /** Parts of the probe that it needs. */
    groups: readonly Group[];
    plan(state: HostState): Plan;
    /** How it is taken back; default: `planUndo`. */
    undo?(deed: Deed, state: HostState): Plan;
}

export interface Outcome {
    state: HostState;
    deed: Deed;
    notes: string[];
    /** What was claimed before and is not wanted any more, and waits for a later phase. */
    pending: number;
    /** The resource had a ledger file on this host before. */
    known: boolean;
}

/** Attempts at a batch whose host changed between probe and lock. */
const ATTEMPTS = 8;
/** Milliseconds for which a probe serves reads. */
const FRESH = 3_000;
/** Operations that one script carries. */
const BATCH = 200;
/** Seconds of one wait for connections to end, so that progress is seen. */
const WAIT_SLICE = 5;

export interface HostOptions {
    /** Seconds for one script under its lock. */
    commandTimeout: number;
    /** Says something to the user. */
    say(line: string): void;
}

interface Job {
    operation: Operation;
    resolve(outcome: Outcome): void;
    reject(error: unknown): void;
    /** The state before the operation's first change. */
    first?: HostState;
    touched: Map<string, Deed["changes"][number]>;
    files: Map<string, LedgerFile | undefined>;
    notes: Set<string>;
    alone: boolean;
    attempts: number;
    /** A script of it may have done something on the host. */
    begun: boolean;
}

const hosts = new Map<string, Host>();

/** The queue of a connection: one per host and process. */
export function hostAt(connection: Connection, options: HostOptions): Host {
    const key = connectionKey(connection);
    const known = hosts.get(key) ?? new Host(connection);
    known.options = options;
    hosts.set(key, known);
    return known;
}

/** Ends when no host has work under way. */
export async function settled(): Promise<void> {
    await Promise.all([...hosts.values()].map((host) => host.underWay));
}

export class Host {
    readonly name: string;
    options!: HostOptions;
    private snapshot: HostState | undefined;
    /** The last probe that asked for everything: what a script's own answer does not say again. */
    private informed: HostState | undefined;
    private queue: Job[] = [];
    /** The work that is under way. */
    underWay: Promise<void> = Promise.resolve();
    private working = false;
    private probing: Promise<HostState> | undefined;
    private readonly settings = new Set<string>();
    private readonly groups = new Set<Group>();
    private readonly redact: (text: string) => string;

    constructor(readonly connection: Connection) {
        this.name = describeConnection(connection);
        this.redact = redactor(connectionSecrets(connection));
    }

    /** The host as it is, for reading: concurrent and closely following reads share one probe. */
    async read(settings: string[] = [], wanted: readonly Group[] = groups): Promise<HostState> {
        const more = this.wantToSee(settings, wanted);
        if (this.probing !== undefined && !more) return this.probing;
        const known = this.snapshot;
        if (known !== undefined && !more && Date.now() - known.takenAt < FRESH) return known;
        const running = this.probe(false);
        this.probing = running;
        try {
            return await running;
        } finally {
            if (this.probing === running) this.probing = undefined;
        }
    }

    /** The host as it was last seen by this process, however long ago. */
    get lastSeen(): HostState | undefined {
        return this.snapshot;
    }

    /** Plans and carries out an operation; rejects after it has been taken back. */
    submit(operation: Operation): Promise<Outcome> {
        this.wantToSee(operation.settings, operation.groups);
        return new Promise((resolve, reject) => {
            this.queue.push({
                operation,
                resolve,
                reject,
                touched: new Map(),
                files: new Map(),
                notes: new Set(),
                alone: false,
                attempts: 0,
                begun: false,
            });
            this.start();
        });
    }

    /** Takes an operation back that was carried out here. */
    async undo(deed: Deed): Promise<string[]> {
        const outcome = await this.submit({
            says: "undo",
            settings: [],
            groups: [],
            plan: (state) => planUndo(deed, state),
        });
        return outcome.notes;
    }

    /**
     * Waits until the connections that these real servers have now are over, outside the lock, at most so many seconds
     * after the first attempt. To wait is a courtesy: where the host does not answer, the work goes on and meets that.
     */
    async outlast(keys: string[], seconds: number): Promise<boolean> {
        for (let slice = 0; slice <= seconds / WAIT_SLICE + 1; slice++) {
            const script = renderOutlast(keys, seconds, WAIT_SLICE);
            let said = "";
            try {
                const result = await runScript(this.connection, script.text, { timeout: WAIT_SLICE + 15 });
                said = parseSections(String(result.stdout), script.nonce)["left"]?.trim() ?? "";
            } catch (error) {
                this.options.say(`${this.name}: waiting for connections: ${(error as Error).message}`);
                continue;
            }
            const [left = 0, more = 0] = said.split(" ").map(Number);
            if (left === 0) return true;
            const what = `${this.name}: ${keys.join(", ")}: ${left} connections that began by the former forwarding method`;
            this.options.say(more > 0 ? `${what} go on, at most ${more} s more` : `${what} are cut off`);
            if (more <= 0) return false;
        }
        return false;
    }

    private wantToSee(keys: string[], wanted: readonly Group[]): boolean {
        const before = this.settings.size + this.groups.size;
        for (const group of wanted) this.groups.add(group);
        for (const key of keys) this.settings.add(sysctlPath(key).slice("/proc/sys/".length));
        const grown = this.settings.size + this.groups.size > before;
        if (grown) this.snapshot = undefined;
        return grown;
    }

    /** What the ledger speaks of has to be seen too, whoever it belongs to. */
    private wantToSeeClaims(state: HostState): boolean {
        const claims = [...state.ledger.values()].flatMap((file) => file.claims);
        const unseen = claims.filter(({ kind, key }) => kind === "sysctl" && valueAt(state, kind, key) === undefined);
        return this.wantToSee(
            unseen.map(({ key }) => key),
            claims.flatMap(({ kind }) => (isKind(kind) ? (kindOf(kind).group ?? []) : [])),
        );
    }

    private start(): void {
        if (!this.working) this.underWay = this.work();
    }

    private async work(): Promise<void> {
        this.working = true;
        try {
            // Whatever arrives in this turn of the event loop joins the first batch.
            await new Promise((resolve) => setImmediate(resolve));
            while (this.queue.length > 0) await this.batch();
        } finally {
            this.working = false;
        }
    }

    private async batch(): Promise<void> {
        const jobs: Job[] = [];
        const plans: Plan[] = [];
        let fresh = false;
        let state: HostState;
        try {
            // An operation that came meanwhile may have asked for more.
            while (this.snapshot === undefined) {
                await this.probe(false);
                fresh = true;
            }
            state = this.snapshot;
        } catch (error) {
            await Promise.all(this.queue.splice(0).map((job) => this.giveUp(job, error)));
            return;
        }
        const base = state;
        const touched = new Set<string>();
        const later: Job[] = [];
        const waiting = this.queue.splice(0);
        for (const [index, job] of waiting.entries()) {
            if (plans.length >= BATCH || (plans.length > 0 && (job.alone || jobs[0]!.alone))) {
                later.push(...waiting.slice(index));
                break;
            }
            let plan: Plan;
            try {
                plan = job.operation.plan(state);
            } catch (error) {
                if (fresh && plans.length === 0) {
                    await this.giveUp(job, error);
                    continue;
                }
                // It may be the probe that is old, or a neighbour in the batch: look again, on its own.
                if (!fresh && plans.length === 0) this.snapshot = undefined;
                later.push(...waiting.slice(index));
                break;
            }
            const places = plan.steps.map(({ kind, key }) => `${kind} ${key}`);
            const files = [...plan.during.keys(), ...plan.afterwards.keys()];
            if (plans.length > 0 && [...places, ...files].some((place) => touched.has(place))) {
                later.push(...waiting.slice(index));
                break;
            }
            for (const place of [...places, ...files]) touched.add(place);
            plans.push(plan);
            jobs.push(job);
            state = plan.next;
        }
        this.queue.unshift(...later);
        if (jobs.length === 0) return;
        const idle = plans.every((plan) => plan.steps.length === 0 && unchangedFiles(plan, base) && !plan.partial);
        if (idle && fresh) {
            for (const [index, job] of jobs.entries()) this.finish(job, plans[index]!, base);
            return;
        }
        await this.carryOut(jobs, plans, base);
    }

    private async carryOut(jobs: Job[], plans: Plan[], base: HostState): Promise<void> {
        const earlier = jobs.map(({ first, touched, files }) => ({
            first,
            touched: new Map(touched),
            files: new Map(files),
        }));
        for (const [index, job] of jobs.entries()) this.remember(job, plans[index]!, base);
        const single = jobs.length === 1 && jobs[0]!.alone;
        let answer: Answer;
        try {
            answer = await this.run({
                expect: base.sum,
                plans,
                rules: single ? "each" : "together",
                timeout: this.options.commandTimeout,
                settings: [...this.settings],
                groups: [...this.groups],
            });
        } catch (error) {
            this.snapshot = undefined;
            await this.recover(jobs, error);
            return;
        }
        this.snapshot = answer.state;
        // Another process may have claimed since what this one has never looked at.
        this.wantToSeeClaims(answer.state);
        if (answer.outcome === "stale") {
            for (const [index, job] of jobs.entries()) {
                // This script did nothing: to take it back could hit what somebody else has made meanwhile.
                job.first = earlier[index]!.first;
                job.touched = earlier[index]!.touched;
                job.files = earlier[index]!.files;
                job.attempts++;
                if (job.attempts >= ATTEMPTS) {
                    const reason = `the host changed ${job.attempts} times between look and lock`;
                    await this.giveUp(
                        job,
                        this.stepError(
                            "LVS-RESTLESS",
                            job.operation.says,
                            reason,
                            "Find out what keeps changing it (a checker, a script), and run `pulumi up` again.",
                        ),
                    );
                } else this.queue.push(job);
            }
            return;
        }
        for (const job of jobs) job.begun = true;
        const again: Job[] = [];
        const wait: { job: Job; plan: Plan }[] = [];
        for (const [index, job] of jobs.entries()) {
            const plan = plans[index]!;
            if (answer.draining.has(index)) wait.push({ job, plan });
            else if (plan.partial && goalsMet(plan, answer.state)) again.push(job);
            else if (answer.completed && goalsMet(plan, answer.state)) this.finish(job, plan, answer.state);
            else if (!single) {
                // One rule that the kernel refuses must not cost all the others a script each.
                job.alone = answer.failure === undefined || isConcerned(plan, answer);
                again.push(job);
            } else {
                const error = this.explain(job, plan, answer);
                await this.takeBack(job, error);
            }
        }
        this.queue.unshift(...again);
        if (wait.length > 0) void this.waitFor(wait);
    }

    /** Connections are waited for outside the lock, and beside other work. */
    private async waitFor(list: { job: Job; plan: Plan }[]): Promise<void> {
        const keys = list.flatMap(({ plan }) => plan.steps.filter((step) => step.drained).map((step) => step.key));
        try {
            const active = await this.waitForConnections(keys, WAIT_SLICE);
            if (active > 0) {
                const until = Math.max(...list.map(({ plan }) => [...plan.during.values()][0]?.draining?.until ?? 0));
                const seconds = this.snapshot === undefined ? 0 : Math.max(0, until - hostTime(this.snapshot));
                this.options.say(
                    `${this.name}: draining ${keys.join(", ")}: ${active} active connections, at most ${seconds} s more`,
                );
            }
        } catch (error) {
            this.options.say(`${this.name}: waiting for connections: ${(error as Error).message}`);
        }
        this.queue.push(...list.map(({ job }) => job));
        this.start();
    }

    /**
     * Waits, outside the lock, until none of these destinations has active connections, at most so many seconds; says how
     * many there are then.
     */
    async waitForConnections(keys: string[], seconds: number): Promise<number> {
        const { left = "" } = await this.ask(renderWait(keys, seconds), "left", "wait for connections to end", seconds);
        return left
            .trim()
            .split(/\s+/)
            .reduce((sum, each) => sum + Number(each), 0);
    }

    /** What ipvsadm lists of the kernel's counters, by the listing's name; nothing where the kernel has no IPVS. */
    counters(names: Parameters<typeof renderCounters>[0]): Promise<Record<string, string>> {
        return this.ask(renderCounters(names), "end", "read the counters", 0);
    }

    /** A script that changes nothing and needs no lock; `last`: the section by which its answer is known to be whole. */
    private async ask(
        script: { text: string; nonce: string },
        last: string,
        says: string,
        seconds: number,
    ): Promise<Record<string, string>> {
        const result = await runScript(this.connection, script.text, { timeout: seconds + 15 });
        const sections = parseSections(String(result.stdout), script.nonce);
        if (sections[last] === undefined) {
            throw this.stepError(
                "LVS-ANSWER",
                says,
                `the answer is not whole: ${this.clean(result.stderr)}`,
                "See what the login shell of this user does; pulumi-lvs needs a POSIX sh.",
            );
        }
        return sections;
    }

    private remember(job: Job, plan: Plan, base: HostState): void {
        job.first ??= base;
        for (const note of plan.notes) job.notes.add(note);
        for (const { kind, key, before, after } of plan.steps) {
            const place = `${kind} ${key}`;
            const first = job.touched.get(place);
            job.touched.set(place, { kind, key, before: first === undefined ? before : first.before, after });
        }
        for (const name of [...plan.during.keys(), ...plan.afterwards.keys()]) {
            if (!job.files.has(name)) job.files.set(name, job.first.ledger.get(name));
        }
    }

    private deed(job: Job): Deed {
        return {
            host: this.name,
            files: job.files,
            changes: [...job.touched.values()],
        };
    }

    private finish(job: Job, plan: Plan, state: HostState): void {
        for (const note of plan.notes) job.notes.add(note);
        const deed = this.deed(job);
        // A clone carries the ledger of the machine that it was made from, and is another one.
        const known = [...deed.files.values()].some((file) => file?.machine === machineOf(state));
        job.resolve({ state, deed, notes: [...job.notes], pending: plan.pending, known });
    }

    private async giveUp(job: Job, error: unknown): Promise<void> {
        if (job.begun) await this.takeBack(job, error);
        else job.reject(error);
    }

    /** Undo: what the operation did is set back, and the error says so, or what is left. */
    private async takeBack(job: Job, error: unknown): Promise<void> {
        const deed = this.deed(job);
        try {
            const state = this.snapshot ?? (await this.probe(true));
            const back = (now: HostState) => job.operation.undo?.(deed, now) ?? planUndo(deed, now);
            let plan = back(state);
            for (let attempt = 0; ; attempt++) {
                const answer = await this.run({
                    expect: (this.snapshot ?? state).sum,
                    plans: [plan],
                    rules: "each",
                    timeout: this.options.commandTimeout,
                    settings: [...this.settings],
                    groups: [...this.groups],
                });
                this.snapshot = answer.state;
                this.wantToSeeClaims(answer.state);
                if (answer.outcome === "stale" && attempt < ATTEMPTS) {
                    plan = back(answer.state);
                    continue;
                }
                if (!answer.completed || !goalsMet(plan, answer.state)) throw this.explain(job, plan, answer);
                break;
            }
            const left = plan.notes.join(" ");
            job.reject(
                withAftermath(
                    error,
                    `What this operation had done on ${this.name} was taken back (compensated). ${left}`.trim(),
                ),
            );
        } catch (second) {
            const left = placesOf(deed);
            const why = sentence(second);
            job.reject(
                leftBehind(
                    error,
                    `Taking it back failed too: ${why}. Left on ${this.name}: ${left || "ledger files"}. ${AGAIN}`,
                ),
            );
        }
    }

    /** The connection ended or the answer did not come: what the script did is found out, under the lock. */
    private async recover(jobs: Job[], error: unknown): Promise<void> {
        if ((error as { sent?: boolean }).sent === false) {
            await Promise.all(jobs.map((job) => this.giveUp(job, error)));
            return;
        }
        for (const job of jobs) job.begun = true;
        try {
            await this.probe(true);
        } catch (second) {
            for (const job of jobs) {
                const left = placesOf(this.deed(job));
                job.reject(
                    leftBehind(
                        error,
                        `Whether it was done is not known: ${sentence(second)}. Left on ${this.name}, if so: ${left || "ledger files"}. ${AGAIN}`,
                    ),
                );
            }
            return;
        }
        for (const job of jobs) {
            job.attempts += 3;
            // A connection that was lost is worth another attempt; what hangs on the host is not.
            if (job.attempts < ATTEMPTS && error instanceof ConnectionError && error.kind !== "timeout")
                this.queue.push(job);
            else await this.takeBack(job, error);
        }
    }

    private async probe(locked: boolean): Promise<HostState> {
        const answer = await this.run({
            expect: undefined,
            plans: [],
            rules: "each",
            timeout: this.options.commandTimeout,
            settings: [...this.settings],
            groups: [...this.groups],
            locked,
            inform: true,
        });
        if (this.wantToSeeClaims(answer.state)) return this.probe(locked);
        this.informed = answer.state;
        this.snapshot = answer.state;
        return answer.state;
    }

    private async run(batch: Batch): Promise<Answer> {
        const script = renderScript(batch);
        const says =
            batch.expect === undefined
                ? "look at the host"
                : (batch.plans.flatMap((plan) => plan.steps.map((step) => step.says))[0] ?? "write the ledger");
        const result = await runScript(this.connection, script.text, { timeout: batch.timeout + LOCK_WAIT + 20 });
        const sections = parseSections(String(result.stdout), script.nonce);
        if (sections["run.end"] === undefined) {
            const missing = /^missing (\S+)/.exec(sections["run.outcome"] ?? "")?.[1];
            if (missing !== undefined) {
                throw this.stepError(
                    "LVS-TOOL",
                    says,
                    `the host has no \`${missing}\``,
                    `Install it (Debian: ${missing === "flock" ? "util-linux" : "coreutils"}).`,
                    true,
                );
            }
            const refused = /^refused (.*)/s.exec(sections["run.outcome"] ?? "")?.[1];
            if (refused !== undefined) {
                throw this.stepError(
                    "LVS-RUN",
                    says,
                    `/run cannot be written: ${this.clean(refused)}`,
                    "Work as root, or set `sudo: true` in the connection.",
                    true,
                );
            }
            const came = [String(result.stdout), result.stderr]
                .map((text) => this.clean(text))
                .filter((text) => text !== "");
            throw this.stepError(
                "LVS-ANSWER",
                says,
                `the answer is not whole (status ${result.status ?? result.signal ?? "none"})${came.length > 0 ? `: ${came.join(" / ")}` : ""}`,
                "See what the login shell of this user does; pulumi-lvs needs a POSIX sh.",
            );
        }
        return this.understand(batch, script, sections);
    }

    private understand(batch: Batch, script: Script, sections: Record<string, string>): Answer {
        const [outcome, ...sum] = (sections["run.outcome"] ?? "").trim().split(" ");
        const status = sections["run.status"]?.trim() ?? "";
        const state = (): HostState => {
            const read = Object.fromEntries(Object.entries(sections).filter(([name]) => !name.startsWith("run.")));
            try {
                return parseState(read, sum.join(" "), this.informed);
            } catch (error) {
                throw this.stepError(
                    "LVS-ANSWER",
                    "read the host's answer",
                    this.clean((error as Error).message),
                    "See what these commands print on the host.",
                );
            }
        };
        if (outcome === "busy") {
            throw this.stepError(
                "LVS-BUSY",
                "take the lock",
                `another run holds it for more than ${LOCK_WAIT} s`,
                "Wait for it to end, then run `pulumi up` again; nothing was touched.",
                true,
            );
        }
        if (status === "124" || status === "137") {
            const at = script.parts[Number(sections["run.at"]?.trim() ?? -1)];
            throw this.stepError(
                "LVS-TIMEOUT",
                at?.says ?? "look at the host",
                `it took more than ${batch.timeout} s and was ended`,
                "See what hangs on the host; `lvs:commandTimeout` sets the limit in seconds.",
            );
        }
        if (outcome === undefined || outcome === "") {
            throw this.stepError(
                "LVS-SCRIPT",
                "look at the host",
                `the script ended with status ${status}: ${this.clean(sections["run.trouble"] ?? "")}`,
                "Is /run full or read-only?",
            );
        }
        const results = new Map(
            (sections["run.results"] ?? "")
                .split("\n")
                .filter((line) => line !== "")
                .map((line) => {
                    const [part, code] = line.split(" ");
                    return [Number(part), Number(code)] as const;
                }),
        );
        const failed = [...results].find(([, code]) => code !== 0);
        return {
            outcome: outcome as Answer["outcome"],
            state: state(),
            completed: failed === undefined && results.size === script.parts.length,
            failure:
                failed === undefined
                    ? undefined
                    : {
                          says: script.parts[failed[0]]!.says,
                          steps: script.parts[failed[0]]!.steps,
                          status: failed[1],
                          output: this.clean(sections[`run.o.${failed[0]}`] ?? ""),
                      },
            draining: new Set(
                (sections["run.draining"] ?? "")
                    .split("\n")
                    .filter((line) => line !== "")
                    .map(Number),
            ),
        };
    }

    private explain(job: Job, plan: Plan, answer: Answer): StepError {
        const { failure } = answer;
        if (failure !== undefined) {
            return this.stepError(
                "LVS-STEP",
                failure.says,
                `status ${failure.status}${failure.output === "" ? "" : `: ${failure.output}`}`,
                remedyFor(failure.output),
            );
        }
        const goal = plan.goals.find(({ kind, key, value }) => !met(kind, key, value, answer.state));
        if (goal === undefined)
            return this.stepError(
                "LVS-STEP",
                job.operation.says,
                "it did not run to its end",
                "Run `pulumi up` again.",
            );
        return this.stepError(
            "LVS-VERIFY",
            `${goal.kind} ${goal.key}`,
            `asked for ${show(goal.value, goal.kind)}, the host then has ${show(valueAt(answer.state, goal.kind, goal.key), goal.kind)}`,
            "The kernel or another program on the host holds another value.",
        );
    }

    private stepError(code: string, step: string, reason: string, remedy: string, untouched = false): StepError {
        const error = new StepError(code, this.name, step, reason, remedy);
        return untouched ? Object.assign(error, { sent: false }) : error;
    }

    private clean(text: string): string {
        const seen = printable(this.redact(text.trim()), 100_000).replace(/\s+/g, " ");
        return seen.length > 1_600 ? `${seen.slice(0, 800)} … ${seen.slice(-800)}` : seen;
    }
}

interface Answer {
    outcome: "read" | "stale" | "done";
    state: HostState;
    /** Every part ran and ended with 0. */
    completed: boolean;
    failure: { says: string; status: number; output: string; steps: readonly Step[] } | undefined;
    /** The plans whose real servers still have connections. */
    draining: Set<number>;
}

/** Whether the part that failed did something for this plan, and that is not done. */
function isConcerned(plan: Plan, { failure, state }: Answer): boolean {
    const steps = plan.steps.filter((step) => failure!.steps.includes(step));
    return failure!.steps.length === 0 || steps.some(({ kind, key, after }) => !met(kind, key, after, state));
}

function met(kind: string, key: string, value: unknown, state: HostState): boolean {
    const have = valueAt(state, kind, key);
    return value === undefined ? have === undefined : satisfied(kind, key, value as never, have);
}

function goalsMet(plan: Plan, state: HostState): boolean {
    return plan.goals.every(({ kind, key, value }) => met(kind, key, value, state));
}

function unchangedFiles(plan: Plan, state: HostState): boolean {
    return [...plan.during, ...plan.afterwards].every(
        ([name, file]) => sameFile(file, state.ledger.get(name)) && !state.unreadable.has(name),
    );
}

/** What to do about an operation that was neither done nor taken back. */
const AGAIN = "Once the host is well, run it again: it goes on from what is there.";

/** What an error says, to be gone on from. */
function sentence(error: unknown): string {
    return (error instanceof Error ? error.message : String(error)).replace(/[.\s]+$/, "");
}

function placesOf({ changes }: Deed): string {
    return changes.map(({ kind, key }) => `${kind} ${key}`).join(", ");
}

/** What to do about the refusals that are known. */
function remedyFor(output: string): string {
    const known = remedies.find(([pattern]) => pattern.test(output));
    return known?.[1] ?? "See the message, then run `pulumi up` again.";
}

const remedies: [RegExp, string][] = [
    [
        /scheduler or persistence engine not found/i,
        "This kernel has no such scheduler or engine: see `npx lvs doctor`.",
    ],
    [
        /modprobe: FATAL: Module \S+ not found/,
        "Install the kernel modules of the running kernel (Debian: linux-image-amd64, and reboot into it).",
    ],
    [/address not unicast/i, "The real server's address cannot be used, or `lo` is down on the director."],
    [/Read-only file system/, "The file system is mounted read-only: mount it writable."],
    // dash says no more than "I/O error" of a file system that is full.
    [/No space left|I\/O error|write error/, "Make room on the host; if there is room, see whether its disk is well."],
    [/Cannot find device/, "The interface does not exist on this host: see `ip link`."],
    [/Operation not permitted|Permission denied/, "Work as root, or set `sudo: true` in the connection."],
    [
        /(ipvsadm|nft|ip6?tables|ip|modprobe|arping): (command )?not found/,
        "Install it on the host (Debian: ipvsadm, nftables, iproute2, kmod, iputils-arping).",
    ],
];
