// Reads queries as a JSON list from standard input; writes, for each, where Grafana's own grammar of
// LogQL does not understand it.
import { parser } from '@grafana/lezer-logql';
import { readFileSync } from 'node:fs';

const wrong = (query) => {
  const found = [];
  parser.parse(query).iterate({
    enter: (node) => {
      if (node.type.isError) found.push(query.slice(Math.max(0, node.from - 10), node.to + 10));
    },
  });
  return found;
};
console.log(JSON.stringify(JSON.parse(readFileSync(0, 'utf8')).map(wrong)));
