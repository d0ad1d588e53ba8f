import * as pulumi from "@pulumi/pulumi";
import fc from "fast-check";
import { owner as ownerField } from "../../../provider/inputs/fields";
import * as lvs from "../../../sdk";
import { ownerOfUrn } from "../../../sdk/owner";
import { run } from "./program";

const PREFIX = "pulumi-nodejs:dynamic/lvs:";

class Farm extends pulumi.ComponentResource {
    constructor(name: string, opts?: pulumi.ComponentResourceOptions) {
        super("acme:web:Farm", name, {}, opts);
        new lvs.Director(`${name}-a`, { connection: "a" }, { parent: this });
        new lvs.Director(`${name}-b`, { connection: "b" }, { parent: this });
    }
}

const ownerIn = (registered: Awaited<ReturnType<typeof run>>, key: string) => registered[key]!.inputs["owner"];

test("stack, type and name", async () => {
    const registered = await run(() => new lvs.Director("lb1", { connection: "lb1" }));
    expect(ownerIn(registered, "Director lb1")).toBe("acme/shop/prod#Director/lb1");
});

test("under a component the types of the parents come first, and no child waits for another", async () => {
    const registered = await run(() => new Farm("farm"));
    expect(ownerIn(registered, "Director farm-a")).toBe("acme/shop/prod#acme:web:Farm$Director/farm-a");
    expect(ownerIn(registered, "Director farm-b")).toBe("acme/shop/prod#acme:web:Farm$Director/farm-b");
    expect(registered["Director farm-a"]!.dependsOn).toEqual([]);
    expect(registered["Director farm-b"]!.dependsOn).toEqual([]);
});

test("under a parent with an alias it is the new URN that counts", async () => {
    const registered = await run(() => new Farm("farm", { aliases: [{ name: "old-farm" }] }));
    expect(ownerIn(registered, "Director farm-a")).toBe("acme/shop/prod#acme:web:Farm$Director/farm-a");
});

test("under another resource of ours", async () => {
    const registered = await run(() => {
        const parent = new lvs.Director("lb1", { connection: "lb1" });
        new lvs.Director("lb2", { connection: "lb2" }, { parent });
    });
    expect(ownerIn(registered, "Director lb2")).toBe("acme/shop/prod#Director$Director/lb2");
});

test("the config lvs:owner replaces the stack", async () => {
    const registered = await run(() => new lvs.Director("lb1", { connection: "lb1" }), {
        config: { "lvs:owner": "old/shop/prod" },
    });
    expect(ownerIn(registered, "Director lb1")).toBe("old/shop/prod#Director/lb1");
});

test("it is the same in a preview", async () => {
    const registered = await run(() => new Farm("farm"), { preview: true });
    expect(ownerIn(registered, "Director farm-a")).toBe("acme/shop/prod#acme:web:Farm$Director/farm-a");
});

test("names with spaces, # and line breaks make one word", async () => {
    const registered = await run(() => new lvs.Director("lb #1\n%", { connection: "lb1" }), { organization: "a b" });
    expect(ownerIn(registered, "Director lb #1\n%")).toBe("a%20b/shop/prod#Director/lb%20%231%0A%25");
});

const type = fc.stringMatching(/^[a-z]{1,3}:[a-z/]{1,4}:[A-Z][a-z]{0,3}$/);
const name = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("a", "a/b", "$a/b", "a::b", "a%2Fb", "#", " "));
const urns = fc
    .tuple(
        fc.array(fc.oneof(type, fc.constant(`${PREFIX}Director`)), { maxLength: 2 }),
        fc.constantFrom("Director", "RealServer"),
        name,
    )
    .filter(([, , given]) => given !== "")
    .map(([parents, own, given]) => `urn:pulumi:prod::shop::${[...parents, PREFIX + own].join("$")}::${given}`);

test("two URNs never have one owner, and the provider takes every owner", () => {
    fc.assert(
        fc.property(urns, urns, (a, b) => {
            const [ownerA, ownerB] = [a, b].map((urn) => ownerOfUrn(urn, "acme/shop/prod"));
            expect(ownerA === ownerB).toBe(a === b);
            expect(ownerField.safeParse(ownerA).success).toBe(true);
        }),
        { numRuns: 1000 },
    );
});
