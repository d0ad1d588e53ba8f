/**
 * jest's globalSetup: what the tests need, also when jest is called by hand (`npx jest --selectProjects engine`).
 * Workers inherit the environment.
 */
import { ensure, pulumiEnv } from "../setup.mjs";
import { needs, STAGES } from "./stages.mjs";

export default async function globalSetup() {
    // jest calls it once, for the first project only: the command line knows the others.
    const named = STAGES.filter((stage) => process.argv.includes(stage.name));
    const wanted = needs(named.length > 0 ? named : STAGES);
    await ensure(wanted);
    if (wanted.pulumi) Object.assign(process.env, pulumiEnv());
}
