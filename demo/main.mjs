#!/usr/bin/env node
/**
 * `npm run demo`: the product from nothing to nothing, on virtual hosts with a real IPVS kernel and the real Pulumi
 * engine. Ends with 0 only if every step showed what it should.
 */
import { parseArgs } from "node:util";
import { complain, Problem } from "../tools/setup/problem.mjs";
import { ensure } from "../tools/setup.mjs";
import { topologies } from "./topologies.mjs";

function chosen() {
    const known = Object.keys(topologies);
    const usage = `usage: npm run demo -- [--topology ${known.join("|")}]`;
    let topology;
    try {
        topology = parseArgs({ options: { topology: { type: "string", default: "dr" } } }).values.topology;
    } catch (error) {
        throw new Problem(`${error.message}\n${usage}`);
    }
    if (!known.includes(topology)) throw new Problem(`there is no topology ${JSON.stringify(topology)}\n${usage}`);
    return topologies[topology];
}

try {
    const topology = chosen();
    await ensure({ lab: true, pulumi: true });
    // Only now: its packages may just have been installed.
    const { demo } = await import("./story.mjs");
    process.exitCode = await demo(topology);
} catch (error) {
    complain(error);
    process.exitCode = 1;
}
