/**
 * What one kind of object on a host is: how it is read, set, removed and put back. A kind is one file and one row in
 * `kinds/index.ts`; everything else (ledger, plan, script, undo, drift, boot) treats all kinds alike.
 */
import type { Probe } from "./probe";

/** Plain JSON, the only thing that is kept of an object: in the ledger, in plans, in drift. */
export type Value = null | boolean | number | string | Value[] | { [name: string]: Value };

/**
 * One thing that is done on a host. Words are never joined by a kind: they are quoted in one place, by the script's
 * renderer, and so no value can reach a shell as anything but a word.
 */
export type Action =
    /** A process with its argument vector. */
    | { run: string[] }
    /** A shell text of our own, a constant, with words for $1, $2 …; `texts` are constants that follow them. */
    | { script: string; words: string[]; texts?: string[] }
    /** A line of text written to a file under /proc/sys, without a process. */
    | { write: string; text: string };

/** An object's place: the kind's name and the key within it. One host, one place, one value. */
export interface Place {
    kind: string;
    key: string;
}

/** What a resource wants: an object with its value. */
export interface ManagedObject extends Place {
    value: Value;
}

/** All that is read of a host's objects: value by key, by kind. */
export type Objects = ReadonlyMap<string, ReadonlyMap<string, Value>>;

/** Parts of a probe that cost processes: read where a resource, or the host's ledger, has to do with them. */
export type Group = "ipvs" | "ipvs.host" | "filter" | "tunnel" | "route" | "kernel";

export const groups: readonly Group[] = ["ipvs", "ipvs.host", "filter", "tunnel", "route", "kernel"];

/** A check's code, with what stands in the way and what to do. */
export interface Refusal {
    code: string;
    reason: string;
    remedy: string;
}

export interface Kind<V extends Value = Value> {
    /** The name in ledgers, messages and drift: never changes once released. */
    readonly name: string;
    /** Order on a host: lower is set earlier and released later. See `ranks`. */
    rank(key: string): number;
    /**
     * `rule`: a thing that somebody made; if it exists and nobody claims it, claiming it needs `adopt`, and it goes with
     * its last claim. `thing`: a device, address or file; what was there before stays. `setting`: has a value, which is
     * put back; one that may also have none has an `unset`. `standing`: never taken away (modules).
     */
    readonly nature: "rule" | "thing" | "setting" | "standing";
    /** The part of a probe that it is read from, where that is read only on demand. */
    readonly group?: Group;
    /** Reads every object of the kind from a probe. */
    read(probe: Probe): Map<string, V>;
    /** Whether what the host has is what is wanted; default: the same JSON. */
    satisfied?(want: V, have: V, key: string): boolean;
    /** What makes the object have this value, from what it is now (undefined: absent). */
    set(key: string, want: V, have: V | undefined): Action[];
    /**
     * What sets its parts right where the value is what is wanted, but parts of it are not as they were once it was set:
     * drift, too. `found`: before anybody claimed it; `claimed`: whether somebody wants another object.
     */
    mend?(key: string, want: V, have: V, found: V, claimed: (place: Place) => boolean): Action[];
    /** What removes it; standing things, and settings that always have a value, have none. */
    unset?(key: string, have: V): Action[];
    /** What puts back the value that was found before anybody claimed it; default: `set`. */
    restore?(key: string, found: V, have: V): Action[];
    /** What sets it at boot, where that differs from `set` of an absent object. */
    boot?(key: string, want: V): Action[];
    /** Only this package makes such objects: one that nobody claims is a leftover of ours, and goes with its last claim. */
    ours?(key: string): boolean;
    /** The program without which it can be neither read nor set. */
    readonly tool?: string | ((key: string) => string);
    /** Whether two stacks that want different values clash; default true. */
    readonly clashes?: boolean;
    /** Why what was found must not, or cannot, be put back: other users of it on the host, or a device that is gone. */
    stays?(key: string, probe: Probe, found: V): string | undefined;
    /** Why it must not go now, or be changed back to what was found: refused before anything is done. */
    refuses?(key: string, probe: Probe, have: V, found: V | undefined): Refusal | undefined;
    /** What of it stays when it is removed, because somebody else on the host holds it: said then. */
    remains?(key: string, probe: Probe): string | undefined;
    /** The object that it stands in: it cannot be set without it, and goes with it. */
    parent?(key: string): Place;
    /** In a person's words, for steps and errors: "virtual service tcp/192.0.2.100:80". */
    describe(key: string): string;
    /** A value in a person's words; default: its JSON. */
    show?(value: V): string;
}

/**
 * The order inside a host, live and at boot: modules, settings, devices and their settings, marks and masquerading,
 * IPVS, addresses last, so that an address answers only when what stands behind it is ready. Releasing runs backwards.
 */
export const ranks = {
    boot: 5,
    parameter: 8,
    module: 10,
    setting: 20,
    forwarding: 22,
    fou: 25,
    link: 30,
    linkSetting: 35,
    route: 40,
    table: 49,
    rule: 50,
    timeouts: 60,
    service: 70,
    destination: 71,
    sync: 75,
    address: 90,
} as const;

/** The prefix of the names of all devices that we make; it also tells settings of our devices from the host's own. */
export const DEVICE_PREFIX = "lvs-";
