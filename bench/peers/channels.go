/* channels.go - the benchmarks of goroutines and channels: forking, yielding, sending and parking, on Go.
 *
 *     channels [-r ROUNDS] [-q] [-l] [NAME ...]     as the programs in C, which bench.h describes
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
	"sync"
	"sync/atomic"
	"time"
)

const (
	capacity    = 128
	crowd       = 4
	skyChildren = 10
)

var quick = flag.Bool("q", false, "less work in each sample")

func fail(format string, args ...interface{}) {
	fmt.Fprintf(os.Stderr, "channels: "+format+"\n", args...)
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

// ---- Trees: a goroutine for each fork, its result comes through a channel ------------------------------------------

func fib(n int) uint64 {
	if n < 2 {
		return uint64(n)
	}
	result := make(chan uint64, 1)
	go func() { result <- fib(n - 1) }()
	b := fib(n - 2)
	return <-result + b
}

func fibSerial(n int) uint64 {
	if n < 2 {
		return uint64(n)
	}
	return fibSerial(n-1) + fibSerial(n-2)
}

func forkjoin() []float64 {
	n := size(27, 22)
	fib(15)
	begun := time.Now()
	result := fib(n)
	ns := since(begun, float64(fibSerial(n+1)-1))
	expect(result, fibSerial(n), "fib")
	return []float64{ns}
}

func sky(number, leaves uint64) uint64 {
	if leaves == 1 {
		return number
	}
	var results [skyChildren]chan uint64
	for i := range results {
		result := make(chan uint64, 1)
		child := number + uint64(i)*(leaves/skyChildren)
		go func() { result <- sky(child, leaves/skyChildren) }()
		results[i] = result
	}
	var sum uint64
	for _, result := range results {
		sum += <-result
	}
	return sum
}

func skynet() []float64 {
	leaves, tasks := uint64(size(1000000, 100000)), 0.0
	for n := leaves; n > 1; n /= skyChildren {
		tasks += float64(n)
	}
	sky(0, 1000)
	begun := time.Now()
	sum := sky(0, leaves)
	ns := since(begun, tasks)
	expect(sum, leaves*(leaves-1)/2, "skynet")
	return []float64{ns}
}

// ---- Switches and channels ------------------------------------------------------------------------------------------

// Two goroutines that give way to each other; meaningful with one worker only.
func yield() []float64 {
	yields := size(1000000, 100000)
	var both sync.WaitGroup
	both.Add(2)
	begun := time.Now()
	for i := 0; i < 2; i++ {
		go func() {
			for k := 0; k < yields; k++ {
				runtime.Gosched()
			}
			both.Done()
		}()
	}
	both.Wait()
	return []float64{since(begun, 2*float64(yields))}
}

// The sum of what comes, which must be 0, 1, 2 ... if ordered.
func take(c <-chan uint64, ordered bool) (seen, sum uint64) {
	for value := range c {
		if ordered && value != seen {
			fail("channel: %d came in place of %d", value, seen)
		}
		seen++
		sum += value
	}
	return
}

// putters put n values each, takers take them.
func stream(buffer, putters, takers, n int) []float64 {
	c := make(chan uint64, buffer)
	var putting, taking sync.WaitGroup
	var seen, sum uint64
	putting.Add(putters)
	taking.Add(takers)
	begun := time.Now()
	for i := 0; i < putters; i++ {
		go func() {
			for k := 0; k < n; k++ {
				c <- uint64(k)
			}
			putting.Done()
		}()
	}
	for i := 0; i < takers; i++ {
		go func() {
			mySeen, mySum := take(c, putters == 1 && takers == 1)
			atomic.AddUint64(&seen, mySeen)
			atomic.AddUint64(&sum, mySum)
			taking.Done()
		}()
	}
	putting.Wait()
	close(c)
	taking.Wait()
	total := uint64(n) * uint64(putters)
	ns := since(begun, float64(total))
	expect(seen, total, "values taken")
	expect(sum, uint64(n)*uint64(n-1)/2*uint64(putters), "their sum")
	return []float64{ns}
}

func pingpong() []float64 {
	n := size(300000, 30000)
	there, back := make(chan uint64), make(chan uint64)
	go func() {
		for value := range there {
			back <- value
		}
	}()
	begun := time.Now()
	for i := 0; i < n; i++ {
		there <- uint64(i)
		expect(<-back, uint64(i), "answer")
	}
	return []float64{since(begun, float64(n))}
}

// ---- Very many that wait --------------------------------------------------------------------------------------------

// What this process keeps in memory: its pages, and the tables for them.
func resident() (bytes float64) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		fail("%v", err)
	}
	for _, line := range strings.Split(string(status), "\n") {
		if strings.HasPrefix(line, "VmRSS:") || strings.HasPrefix(line, "VmPTE:") {
			kb, err := strconv.ParseFloat(strings.Fields(line)[1], 64)
			if err != nil {
				fail("%v", err)
			}
			bytes += kb * 1024
		}
	}
	return
}

func parked() []float64 {
	n := size(1000000, 100000)
	gates := make([]chan struct{}, n)
	var arrived int64
	var left sync.WaitGroup
	left.Add(n)
	for i := range gates {
		gates[i] = nil // present before memory is looked at
	}
	before := resident()
	begun := time.Now()
	for i := range gates {
		gate := make(chan struct{}, 1)
		gates[i] = gate
		go func() {
			atomic.AddInt64(&arrived, 1)
			<-gate
			left.Done()
		}()
	}
	for atomic.LoadInt64(&arrived) < int64(n) {
		runtime.Gosched()
	}
	create := since(begun, float64(n))
	memory := (resident() - before) / float64(n)
	begun = time.Now()
	for _, gate := range gates {
		gate <- struct{}{}
	}
	left.Wait()
	return []float64{create, since(begun, float64(n)), memory}
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
	both := []int{1}
	if all := runtime.GOMAXPROCS(0); all > 1 {
		both = append(both, all)
	}
	of := func(name, per, variant string, run func() []float64) group {
		return group{[]value{{name, "ns", per}}, variant, both, 0, run}
	}
	yields := of("yield", "yield", "go-Gosched", yield)
	yields.workers = []int{1}
	return []group{
		of("forkjoin", "fork", "go-channel", forkjoin),
		of("skynet", "task", "go-channel", skynet),
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
				fmt.Fprintf(os.Stderr, "channels: %s, %d workers: %v\n", g.values[0].name, workers, err)
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
		fmt.Fprintln(os.Stderr, "channels: there is no benchmark of that name here")
	}
	if failed || !found {
		os.Exit(1)
	}
}
