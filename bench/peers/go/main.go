/* main.go - the benchmarks of trees, loops, channels, selects, locks, sockets and parking on Go: which there are, and how they are run.
 *
 *     go [-r ROUNDS] [-q] [-l] [NAME ...]     as the programs in C, which bench.h describes
 *
 * Each run is a process of its own here, too: the program starts itself with -one NAME -workers N, which prints the
 * values. */
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"time"
)

var quick = flag.Bool("q", false, "less work in each sample")

func fail(format string, args ...interface{}) {
	fmt.Fprintf(os.Stderr, "go: "+format+"\n", args...)
	os.Exit(1)
}

func size(normal, small int) int {
	if *quick {
		return small
	}
	return normal
}

func since(begun time.Time, n float64) float64 {
	return float64(time.Since(begun).Nanoseconds()) / n
}

func expect(actual, expected uint64, what string) {
	if actual != expected {
		fail("%s: %d instead of %d", what, actual, expected)
	}
}

// ---- What is measured -----------------------------------------------------------------------------------------------

type value struct{ name, unit, per string }

type group struct {
	values    []value
	variant   string
	workers   []int
	maxRounds int
	run       func() []float64
}

func groups() []group {
	both, several := []int{1}, []int{}
	if all := runtime.GOMAXPROCS(0); all > 1 {
		both = append(both, all)
		several = append(several, all)
	}
	of := func(name, per, variant string, run func() []float64) group {
		return group{[]value{{name, "ns", per}}, variant, both, 0, run}
	}
	elsewhere := func(name, per, variant string, run func() []float64) group {
		g := of(name, per, variant, run)
		g.workers = several
		return g
	}
	yields := of("yield", "yield", "go-Gosched", yield)
	yields.workers = []int{1}
	return []group{
		of("forkjoin", "fork", "go-channel", forkjoin),
		of("skynet", "task", "go-channel", skynet),
		of("nqueens", "task", "go-channel", nqueens),
		{[]value{{"uts-t1", "ns", "node"}}, "go-waitgroup", both, 1, utsT1},
		{[]value{{"uts-t3", "ns", "node"}}, "go-waitgroup", both, 1, utsT3},
		{[]value{{"matmul", "ms", "product"}}, "go-waitgroup", both, 1, multiply},
		{[]value{{"mergesort", "ns", "key"}}, "go-waitgroup", both, 1, sortByMerging},
		of("loop-empty", "loop", "go-waitgroup", emptyLoop),
		{[]value{{"loop-fill", "ns", "element"}}, "go-waitgroup", both, 1, fillLoop},
		{[]value{{"loop-sum", "ns", "element"}}, "go-waitgroup", both, 1, sumLoop},
		yields,
		of("channel-pingpong", "round trip", "go-unbuffered", pingpong),
		of("channel-stream", "value", "go-unbuffered", func() []float64 {
			return stream(0, 1, 1, size(500000, 50000))
		}),
		of("channel-buffered", "value", "go-buffered", func() []float64 {
			return stream(capacity, 1, 1, size(2000000, 200000))
		}),
		of("channel-crowd", "value", "go-buffered", func() []float64 {
			return stream(capacity, crowd, crowd, size(500000, 50000))
		}),
		{[]value{{"parked-create", "ns", "task"}, {"parked-release", "ns", "task"}, {"parked-memory", "bytes", "task"}},
			"go-channel", both, 1, parked},
		of("select", "select and put", "go", selectUncontended),
		of("select-two", "select and put", "go", selectTwo),
		of("select-eight", "select and put", "go", selectEight),
		of("select-try", "select", "go", selectTry),
		of("select-async", "select and put", "go", selectAsync),
		of("select-sync", "value", "go", selectSync),
		of("select-pingpong", "round trip", "go", selectPingpong),
		of("mutex", "lock and unlock", "go-sync.Mutex", mutexAlone),
		of("mutex-crowd", "lock and unlock", "go-sync.Mutex", mutexCrowd),
		of("io-pingpong", "round trip", "go-net", ioPingpong),
		elsewhere("spawn-start", "start", "go", spawnStart),
		elsewhere("wake-50us", "wake", "go-locked-threads", func() []float64 {
			return wake(50*time.Microsecond, size(500, 100))
		}),
		elsewhere("wake-2ms", "wake", "go-locked-threads", func() []float64 {
			return wake(2*time.Millisecond, size(60, 10))
		}),
		{[]value{{"idle", "s", "idle second"}}, "go", both, 1, idle},
	}
}

// One run in a process of its own.
func isolated(g group, workers int) ([]float64, error) {
	args := []string{"-one", g.values[0].name, "-workers", strconv.Itoa(workers)}
	if *quick {
		args = append(args, "-q")
	}
	child := exec.Command(os.Args[0], args...)
	child.Stderr = os.Stderr
	out, err := child.Output()
	if err != nil {
		return nil, err
	}
	var values []float64
	for _, word := range bytes.Fields(out) {
		v, err := strconv.ParseFloat(string(word), 64)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	if len(values) != len(g.values) {
		return nil, fmt.Errorf("%d values instead of %d", len(values), len(g.values))
	}
	return values, nil
}

func median(sorted []float64) float64 {
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

// All rounds of a group, with each number of workers in turn; returns whether all went well.
func measure(g group, rounds int) bool {
	if g.maxRounds > 0 && rounds > g.maxRounds {
		rounds = g.maxRounds
	}
	samples := make([][][]float64, len(g.workers)) // [workers][value][round]
	for w := range samples {
		samples[w] = make([][]float64, len(g.values))
	}
	for round := 0; round < rounds; round++ {
		for w, workers := range g.workers {
			values, err := isolated(g, workers)
			if err != nil {
				fmt.Fprintf(os.Stderr, "go: %s, %d workers: %v\n", g.values[0].name, workers, err)
				return false
			}
			for v := range values {
				samples[w][v] = append(samples[w][v], values[v])
			}
		}
	}
	for v, what := range g.values {
		for w, workers := range g.workers {
			s := samples[w][v]
			sort.Float64s(s)
			fmt.Printf("{\"bench\":\"%s\", \"variant\":\"%s\", \"kind\":\"peer\", \"workers\":%d, "+
				"\"unit\":\"%s\", \"per\":\"%s\", \"%s\":%.6g, \"min\":%.6g, \"max\":%.6g, \"rounds\":%d}\n",
				what.name, g.variant, workers, what.unit, what.per, what.unit, median(s), s[0], s[len(s)-1], rounds)
		}
	}
	return true
}

func named(g group, names []string) bool {
	for _, name := range names {
		for _, v := range g.values {
			if v.name == name {
				return true
			}
		}
	}
	return len(names) == 0
}

func main() {
	rounds := flag.Int("r", 9, "rounds")
	one := flag.String("one", "", "do one run of this benchmark")
	workers := flag.Int("workers", 1, "on so many workers")
	list := flag.Bool("l", false, "list the benchmarks")
	flag.Parse()
	if *rounds < 1 {
		fail("-r takes 1 round or more")
	}
	found, failed := false, false
	for _, g := range groups() {
		if *list {
			fmt.Println(g.values[0].name, g.maxRounds)
			found = true
			continue
		}
		if *one == g.values[0].name {
			runtime.GOMAXPROCS(*workers)
			fmt.Println(strings.Trim(fmt.Sprint(g.run()), "[]"))
			return
		}
		if *one == "" && named(g, flag.Args()) {
			found = true
			failed = !measure(g, *rounds) || failed
		}
	}
	if !found {
		fmt.Fprintln(os.Stderr, "go: there is no benchmark of that name here")
	}
	if failed || !found {
		os.Exit(1)
	}
}
