// One panel, drawn by the component of Grafana that draws it there.

import {
  DataFrame,
  FieldDisplay,
  VizOrientation,
  dateTime,
  getDisplayValueAlignmentFactors,
  getFieldDisplayValues,
  renderTextPanelMarkdown,
} from '@grafana/data';
import { BarGauge, BigValue, PanelChrome, TimeSeries, VizRepeater, useTheme2 } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';

import { Panel, task } from './task';

interface Props {
  panel: Panel;
  frames: DataFrame[];
  width: number;
  height: number;
}

export function PanelView({ panel, frames, width, height, empty }: Props & { empty: boolean }) {
  return (
    <PanelChrome title={panel.title} description={panel.description} width={width} height={height} padding={panel.type === 'table' ? 'none' : 'md'}>
      {(innerWidth, innerHeight) => {
        if (panel.type === 'text') {
          return <Text panel={panel} />;
        }
        if (empty && panel.type !== 'stat') {
          return <Nothing panel={panel} height={innerHeight} />;
        }
        const props = { panel, frames, width: innerWidth, height: innerHeight };
        switch (panel.type) {
          case 'timeseries':
            return <Graph {...props} />;
          case 'stat':
            return <Stat {...props} />;
          case 'bargauge':
            return <Bars {...props} />;
          case 'table':
            return <TableNG data={frames[0]} width={innerWidth} height={innerHeight} sortBy={panel.options.sortBy} cellHeight={panel.options.cellHeight} />;
          default:
            throw new Error(`no component draws ${panel.type}`);
        }
      }}
    </PanelChrome>
  );
}

function Text({ panel }: { panel: Panel }) {
  const html = renderTextPanelMarkdown(panel.options.content);
  return <div className="markdown-html" dangerouslySetInnerHTML={{ __html: html }} />;
}

function Nothing({ panel, height }: { panel: Panel; height: number }) {
  const style = { height, display: 'flex', alignItems: 'center', justifyContent: 'center' };
  return <div style={style}>{panel.fieldConfig?.defaults.noValue}</div>;
}

function Graph({ panel, frames, width, height }: Props) {
  const from = dateTime(task.from * 1000);
  const to = dateTime(task.to * 1000);
  const timeRange = { from, to, raw: { from, to } };
  return (
    <TimeSeries frames={frames} structureRev={1} width={width} height={height} timeRange={timeRange} timeZone="browser" legend={panel.options.legend} />
  );
}

function values(panel: Panel, frames: DataFrame[], theme: ReturnType<typeof useTheme2>, sparkline: boolean): FieldDisplay[] {
  return getFieldDisplayValues({
    data: frames,
    reduceOptions: panel.options.reduceOptions,
    fieldConfig: panel.fieldConfig ?? { defaults: {}, overrides: [] },
    replaceVariables: (text) => text,
    sparkline,
    theme,
    timeZone: 'browser',
  });
}

function Stat({ panel, frames, width, height }: Props) {
  const theme = useTheme2();
  const { colorMode, graphMode, justifyMode, textMode } = panel.options;
  const [first] = values(panel, frames, theme, graphMode !== 'none');
  return (
    <BigValue
      value={first.display}
      sparkline={first.sparkline}
      width={width}
      height={height}
      theme={theme}
      count={1}
      colorMode={colorMode}
      graphMode={graphMode}
      justifyMode={justifyMode}
      textMode={textMode}
    />
  );
}

function Bars({ panel, frames, width, height }: Props) {
  const theme = useTheme2();
  const { displayMode, text, namePlacement, valueMode, showUnfilled, minVizHeight, maxVizHeight } = panel.options;
  return (
    <VizRepeater
      getValues={() => values(panel, frames, theme, false)}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      source={frames}
      renderCounter={1}
      width={width}
      height={height}
      orientation={VizOrientation.Horizontal}
      minVizHeight={minVizHeight}
      maxVizHeight={maxVizHeight}
      itemSpacing={6}
      renderValue={({ value, width, height, alignmentFactors }) => (
        <BarGauge
          value={value.display}
          display={value.view?.getFieldDisplayProcessor(value.colIndex ?? 0)}
          field={value.field}
          width={width}
          height={height}
          theme={theme}
          orientation={VizOrientation.Horizontal}
          displayMode={displayMode}
          text={text}
          valueDisplayMode={valueMode}
          namePlacement={namePlacement}
          showUnfilled={showUnfilled}
          alignmentFactors={alignmentFactors}
        />
      )}
    />
  );
}
