// What Prometheus itself makes of expressions and alert rules: a JSON question in, a JSON answer out.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/template"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

type question struct {
	Expressions []string            `json:"expressions"` // to be read
	Rules       string              `json:"rules"`       // a rule file
	Series      []map[string]string `json:"series"`      // worlds: series and their values, a minute apart
	Minutes     int                 `json:"minutes"`     // how long each world lasts
}

type answer struct {
	Expressions []string   `json:"expressions"` // what is wrong with each; empty: nothing
	Rules       []string   `json:"rules"`       // what is wrong with the file
	Alerts      [][]firing `json:"alerts"`      // of each world, in order
}

type firing struct {
	Minute      int               `json:"minute"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

func main() {
	var asked question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		fail(err)
	}
	found := answer{Expressions: []string{}, Rules: []string{}, Alerts: [][]firing{}}
	for _, expression := range asked.Expressions {
		_, err := parser.ParseExpr(expression)
		found.Expressions = append(found.Expressions, words(err))
	}
	groups, wrong := rulefmt.Parse([]byte(asked.Rules), false)
	for _, err := range wrong {
		found.Rules = append(found.Rules, err.Error())
	}
	if len(wrong) == 0 {
		for _, series := range asked.Series {
			fired, err := alerts(groups, series, asked.Minutes)
			if err != nil {
				fail(err)
			}
			found.Alerts = append(found.Alerts, fired)
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func words(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// alerts evaluates every rule once a minute, and says when which alert fires: once its expression has held for as long as the
// rule asks, as Prometheus' own rule manager has it.
func alerts(groups *rulefmt.RuleGroups, series map[string]string, minutes int) ([]firing, error) {
	world, err := load(series)
	if err != nil {
		return nil, err
	}
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute})
	fired := []firing{}
	for _, group := range groups.Groups {
		for _, rule := range group.Rules {
			since := map[uint64]int{}
			for minute := 0; minute <= minutes; minute++ {
				now := time.Unix(int64(minute)*60, 0)
				vector, err := evaluate(engine, world, rule.Expr, now)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", rule.Alert, err)
				}
				holding := map[uint64]int{}
				for _, sample := range vector {
					key := sample.Metric.Hash()
					holding[key] = minute
					if before, held := since[key]; held {
						holding[key] = before
					}
					if time.Duration(minute-holding[key])*time.Minute >= time.Duration(rule.For) {
						one, err := told(rule, sample, minute, now, engine, world)
						if err != nil {
							return nil, err
						}
						fired = append(fired, one)
					}
				}
				since = holding
			}
		}
	}
	return fired, nil
}

func evaluate(engine *promql.Engine, world storage.Queryable, expression string, now time.Time) (promql.Vector, error) {
	query, err := engine.NewInstantQuery(context.Background(), world, nil, expression, now)
	if err != nil {
		return nil, err
	}
	defer query.Close()
	result := query.Exec(context.Background())
	if result.Err != nil {
		return nil, result.Err
	}
	return result.Vector()
}

// told is an alert with its labels and its texts, as receivers get them.
func told(rule rulefmt.Rule, sample promql.Sample, minute int, now time.Time, engine *promql.Engine, world storage.Queryable) (firing, error) {
	one := firing{Minute: minute, Labels: map[string]string{"alertname": rule.Alert}, Annotations: map[string]string{}}
	of := map[string]string{}
	sample.Metric.Range(func(l labels.Label) { of[l.Name] = l.Value })
	delete(of, labels.MetricName)
	expand := func(text string) (string, error) {
		start := "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}"
		ask := func(_ context.Context, q string, at time.Time) (promql.Vector, error) {
			return evaluate(engine, world, q, at)
		}
		about := template.AlertTemplateData(of, nil, "", sample)
		return template.NewTemplateExpander(context.Background(), start+text, rule.Alert, about,
			model.Time(timestamp.FromTime(now)), ask, &url.URL{}, nil).Expand()
	}
	for name, value := range of {
		one.Labels[name] = value
	}
	for _, part := range []struct{ texts, into map[string]string }{{rule.Labels, one.Labels}, {rule.Annotations, one.Annotations}} {
		for name, text := range part.texts {
			expanded, err := expand(text)
			if err != nil {
				return one, fmt.Errorf("%s: %s: %w", rule.Alert, name, err)
			}
			part.into[name] = expanded
		}
	}
	return one, nil
}

// --- Series in memory -----------------------------------------------------------------------------------------------

func load(series map[string]string) (storage.Queryable, error) {
	var all []storage.Series
	for name, values := range series {
		of, sequence, err := parser.ParseSeriesDesc(name + " " + values)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		var samples []chunks.Sample
		for minute, value := range sequence {
			if !value.Omitted {
				samples = append(samples, sample{int64(minute) * 60_000, value.Value})
			}
		}
		all = append(all, storage.NewListSeries(of, samples))
	}
	find := func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
		set := &set{}
		for _, one := range all {
			if matches(one.Labels(), matchers) {
				set.series = append(set.series, one)
			}
		}
		return set
	}
	return &storage.MockQueryable{MockQuerier: &storage.MockQuerier{SelectMockFunction: find}}, nil
}

func matches(of labels.Labels, matchers []*labels.Matcher) bool {
	for _, matcher := range matchers {
		if !matcher.Matches(of.Get(matcher.Name)) {
			return false
		}
	}
	return true
}

type set struct {
	series []storage.Series
	next   int
}

func (s *set) Next() bool                        { s.next++; return s.next <= len(s.series) }
func (s *set) At() storage.Series                { return s.series[s.next-1] }
func (s *set) Err() error                        { return nil }
func (s *set) Warnings() annotations.Annotations { return nil }

type sample struct {
	time  int64
	value float64
}

func (s sample) T() int64                      { return s.time }
func (s sample) F() float64                    { return s.value }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample           { return s }
