// The browser of a program that opens one: signs in, approves, and follows the redirect.
import { Visitor } from './visitor.mjs';

const page = await new Visitor().open(process.argv[2]);
console.error(page.status, page.url.pathname);
