/* parked.go - very many goroutines that wait, and what it takes to get one going on another processor. */
package main

import (
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

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

// ---- Starting, waking, being idle -----------------------------------------------------------------------------------

// From the go statement until the goroutine runs, while the one that started it computes on.
func spawnStart() []float64 {
	ns := make([]float64, size(1000, 200))
	for i := range ns {
		var started int64
		origin := time.Now()
		go func() { atomic.StoreInt64(&started, 1+int64(time.Since(origin))) }()
		for atomic.LoadInt64(&started) == 0 {
		}
		ns[i] = float64(started - 1)
	}
	sort.Float64s(ns)
	return []float64{median(ns)}
}

// From a send until the goroutine that waited for it runs, after both have had nothing to do for the pause.  Each keeps
// a thread of its own: else the second would run where the first was, as soon as that waits.
func wake(pause time.Duration, n int) []float64 {
	ns := make([]float64, n)
	there, back := make(chan time.Time), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		for i := range ns {
			ns[i] = float64(time.Since(<-there))
			back <- struct{}{}
		}
	}()
	runtime.LockOSThread()
	for range ns {
		time.Sleep(pause)
		there <- time.Now()
		<-back
	}
	sort.Float64s(ns)
	return []float64{median(ns)}
}

func cpuSeconds() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		fail("%v", err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

func idle() []float64 {
	fill(make([]float64, 1<<19))
	time.Sleep(50 * time.Millisecond)
	pause := time.Duration(size(1000, 200)) * time.Millisecond
	before := cpuSeconds()
	time.Sleep(pause)
	return []float64{(cpuSeconds() - before) / pause.Seconds()}
}
