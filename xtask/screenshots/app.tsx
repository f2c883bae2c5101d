// Draws one dashboard in Grafana's grid of 24 columns and says when it is done, and what is empty.

import 'uplot/dist/uPlot.min.css';

import { DataFrame, ThemeContext, createTheme } from '@grafana/data';
import { GlobalStyles } from '@grafana/ui';
import { createRoot } from 'react-dom/client';

import { isEmpty, prepared } from './frames';
import { PanelView } from './panels';
import { ask } from './prometheus';
import { Panel, task } from './task';

const WIDTH = 1600;
const ROW = 30;
const GAP = 8;
const HEAD = 56;
const COLUMN = (WIDTH - GAP) / 24;

interface Drawn {
  panel: Panel;
  frames: DataFrame[];
  empty: boolean;
}

const theme = createTheme({ colors: { mode: 'dark' } });
window.__grafana_public_path__ = task.icons;

function place({ gridPos }: Panel) {
  return {
    left: GAP + gridPos.x * COLUMN,
    top: HEAD + gridPos.y * (ROW + GAP),
    width: gridPos.w * COLUMN - GAP,
    height: gridPos.h * (ROW + GAP) - GAP,
  };
}

function Dashboard({ drawn }: { drawn: Drawn[] }) {
  const variables = task.dashboard.templating.list.filter((variable) => variable.name !== 'datasource');
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <div style={{ position: 'absolute', left: 16, top: 14, fontSize: 18, fontWeight: 500 }}>
        {task.dashboard.title}
        {variables.map(({ label }) => (
          <span key={label} style={{ marginLeft: 24, fontSize: 13, color: theme.colors.text.secondary }}>{`${label}: All`}</span>
        ))}
      </div>
      {drawn.map(({ panel, frames, empty }) => {
        const { left, top, width, height } = place(panel);
        const style = { position: 'absolute' as const, left, top, width, height };
        if (panel.type === 'row') {
          return (
            <div key={panel.id} style={{ ...style, paddingTop: 4, fontSize: 15, fontWeight: 500 }}>{`▾ ${panel.title}`}</div>
          );
        }
        return (
          <div key={panel.id} style={style}>
            <PanelView panel={panel} frames={frames} width={width} height={height} empty={empty} />
          </div>
        );
      })}
    </ThemeContext.Provider>
  );
}

async function drawnOf(panel: Panel): Promise<Drawn> {
  if (!panel.targets) {
    return { panel, frames: [], empty: false };
  }
  const frames = await prepared(await ask(panel), panel, theme);
  return { panel, frames, empty: isEmpty(frames) };
}

/** What `cargo xtask` reads from the page. */
function report(text: string) {
  const element = document.createElement('pre');
  element.id = 'report';
  element.style.display = 'none';
  element.textContent = text;
  document.body.append(element);
}

async function main() {
  const drawn = await Promise.all(task.dashboard.panels.map(drawnOf));
  const root = document.createElement('div');
  document.body.append(root);
  document.body.style.background = theme.colors.background.canvas;
  createRoot(root, { onUncaughtError: (error) => report(`failed: ${error}`) }).render(<Dashboard drawn={drawn} />);
  const empty = drawn.filter((one) => one.empty).map((one) => one.panel.title);
  report(['done', ...empty].join('\n'));
}

main().catch((error) => report(`failed: ${error}`));
