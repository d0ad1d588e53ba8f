/**
 * jest's globalSetup: what a project needs, also when jest is called by hand (`npx jest --selectProjects engine`).
 * Workers inherit the environment.
 */
import { ensure, pulumiEnv } from "../setup.mjs";
import { needs, STAGES } from "./stages.mjs";

/**
 * @param {unknown} _global
 * @param {import("jest").Config & { displayName?: { name: string } }} project
 */
export default async function globalSetup(_global, project) {
    const wanted = needs(STAGES.filter((stage) => stage.name === project.displayName?.name));
    await ensure(wanted);
    if (wanted.pulumi) Object.assign(process.env, pulumiEnv());
}
