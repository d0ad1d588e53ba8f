import { defaults, limits } from "../../../provider/ipvs/limits";
import {
    canonicalFlags,
    flagNames,
    schedulerNamed,
    schedulerNames,
    schedulers,
} from "../../../provider/ipvs/schedulers";

test("every scheduler of the kernel has its row", () => {
    expect(schedulerNames).toEqual("rr wrr lc wlc lblc lblcr dh sh sed nq fo ovf mh twos".split(" "));
    for (const { name, module, config } of schedulers) {
        expect(module).toBe(`ip_vs_${name}`);
        expect(config).toBe(`CONFIG_IP_VS_${name.toUpperCase()}`);
    }
    expect(schedulerNamed(defaults.scheduler)?.name).toBe("wlc");
    expect(schedulerNamed("toString")).toBeUndefined();
});

test("flag words are ipvsadm's", () => {
    expect([...flagNames].sort()).toEqual("flag-1 flag-2 flag-3 mh-fallback mh-port sh-fallback sh-port".split(" "));
});

describe("flags come back as ipvsadm prints them", () => {
    test.each([
        ["sh", ["sh-port", "sh-fallback"], ["sh-fallback", "sh-port"]],
        ["sh", ["flag-2"], ["sh-port"]],
        ["mh", ["flag-1", "mh-fallback"], ["mh-fallback"]],
        ["mh", ["flag-2", "flag-1"], ["mh-fallback", "mh-port"]],
        ["rr", ["flag-3", "flag-1"], ["flag-1", "flag-3"]],
        ["wlc", [], []],
        ["of-tomorrow", ["flag-1"], ["flag-1"]],
    ])("%s %j", (scheduler, flags, expected) => {
        expect(canonicalFlags(scheduler, flags)).toEqual(expected);
    });

    test.each([
        ["rr", "sh-port"],
        ["mh", "sh-port"],
        ["sh", "mh-fallback"],
        ["wlc", "ops"],
        ["sh", "flag-4"],
    ])("%s has no %s", (scheduler, flag) => {
        expect(() => canonicalFlags(scheduler, [flag])).toThrow(`not a flag of the scheduler ${scheduler}`);
    });

    test("flag-3 of sh and mh is refused: ipvsadm prints an empty -b for it, which its own -R refuses", () => {
        expect(() => canonicalFlags("sh", ["flag-3"])).toThrow("no third flag");
        expect(() => canonicalFlags("mh", ["mh-port", "flag-3"])).toThrow("no third flag");
    });
});

test("every limit is a range and says who draws it, and every default lies within its own", () => {
    for (const { min, max, source } of Object.values(limits)) {
        expect(min).toBeLessThan(max);
        expect(source).not.toBe("");
    }
    const within = (value: number, { min, max }: { min: number; max: number }) => value >= min && value <= max;
    expect(within(defaults.persistenceTimeout, limits.persistenceTimeout)).toBe(true);
    expect(within(defaults.weight, limits.weight)).toBe(true);
    expect(within(defaults.syncPort, limits.syncPort)).toBe(true);
    expect(within(defaults.syncTtl, limits.syncTtl)).toBe(true);
    expect(Object.values(defaults.timeouts).every((timeout) => within(timeout, limits.timeout))).toBe(true);
});
