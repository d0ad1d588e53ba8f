import { isIP } from "node:net";

/**
 * Addresses as numbers, so that "is it in the subnet" and "is it the same" are arithmetic, whatever the spelling.
 *
 * @typedef {{ family: 4 | 6, value: bigint }} Address
 * @typedef {Address & { prefix: number }} Subnet  value is the first address
 */

/** @param {string} text @returns {Address | undefined} */
export function parseAddress(text) {
    const family = isIP(text);
    if (family === 4) return { family, value: quad(text) };
    if (family === 6 && !text.includes("%")) return { family, value: groups(text) };
    return undefined;
}

/** @param {string} text @returns {Subnet | undefined} undefined also when bits stand behind the prefix */
export function parseSubnet(text) {
    const [head, tail, more] = text.split("/");
    const address = parseAddress(head);
    const prefix = parsePrefix(tail, address);
    if (!address || prefix === undefined || more !== undefined) return undefined;
    return first(address, prefix) === address.value ? { ...address, prefix } : undefined;
}

/** @param {string | undefined} text @param {Address | undefined} address */
export function parsePrefix(text, address) {
    if (!address || text === undefined || !/^\d{1,3}$/.test(text)) return undefined;
    const prefix = Number(text);
    return prefix <= width(address) ? prefix : undefined;
}

/** The subnet of an address that is written with its prefix. @param {string} text @returns {Subnet | undefined} */
export function surrounding(text) {
    const [head, tail] = text.split("/");
    const address = parseAddress(head);
    const prefix = parsePrefix(tail, address);
    if (!address || prefix === undefined) return undefined;
    return { family: address.family, value: first(address, prefix), prefix };
}

/** @param {Subnet} subnet @param {Address} address */
export function contains(subnet, address) {
    return subnet.family === address.family && first(address, subnet.prefix) === subnet.value;
}

/** @param {Address} address */
function width(address) {
    return address.family === 4 ? 32 : 128;
}

/** @param {Address} address @param {number} prefix */
function first(address, prefix) {
    const shift = BigInt(width(address) - prefix);
    return (address.value >> shift) << shift;
}

/** @param {string} text */
function quad(text) {
    return text.split(".").reduce((sum, part) => (sum << 8n) | BigInt(part), 0n);
}

/** @param {string} text */
function groups(text) {
    const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
    if (dotted) {
        const low = quad(dotted[2]);
        text = `${dotted[1]}${(low >> 16n).toString(16)}:${(low & 0xffffn).toString(16)}`;
    }
    const [head, tail] = text.split("::");
    const left = head ? head.split(":") : [];
    const right = tail ? tail.split(":") : [];
    const middle = Array(8 - left.length - right.length).fill("0");
    return [...left, ...middle, ...right].reduce((sum, part) => (sum << 16n) | BigInt(`0x${part}`), 0n);
}
