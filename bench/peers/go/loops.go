/* loops.go - loops: a goroutine for each share but the first, and a wait group. */
package main

import (
	"runtime"
	"sync"
	"time"
)

// Runs body on n in equal shares.
func split(n int, body func(share, begin, end int)) {
	var others sync.WaitGroup
	shares := runtime.GOMAXPROCS(0)
	others.Add(shares - 1)
	for share := 1; share < shares; share++ {
		share := share
		go func() {
			body(share, n*share/shares, n*(share+1)/shares)
			others.Done()
		}()
	}
	body(0, 0, n/shares)
	others.Wait()
}

func emptyLoop() []float64 {
	calls, n := size(20000, 2000), runtime.GOMAXPROCS(0)
	body := func(share, begin, end int) {}
	split(n, body)
	begun := time.Now()
	for i := 0; i < calls; i++ {
		split(n, body)
	}
	return []float64{since(begun, float64(calls))}
}

func fill(x []float64) {
	split(len(x), func(share, begin, end int) {
		for i := begin; i < end; i++ {
			x[i] = float64(i & 1023)
		}
	})
}

func sum(x []float64) (total float64) {
	sums := make([]float64, runtime.GOMAXPROCS(0))
	split(len(x), func(share, begin, end int) {
		sum := 0.0
		for _, value := range x[begin:end] {
			sum += value
		}
		sums[share] = sum
	})
	for _, sum := range sums {
		total += sum
	}
	return
}

const vectorPasses = 3

// What the elements of n add up to.
func vectorSum(n int) uint64 {
	whole, rest := uint64(n/1024), uint64(n%1024)
	return whole*(1024*1023/2) + rest*(rest-1)/2
}

// The first pass touches the pages and is not counted.
func fillLoop() []float64 {
	x := make([]float64, size(100000000, 1000000))
	fill(x)
	begun := time.Now()
	for i := 0; i < vectorPasses; i++ {
		fill(x)
	}
	ns := since(begun, float64(len(x)*vectorPasses))
	expect(uint64(sum(x)), vectorSum(len(x)), "sum of what was filled in")
	return []float64{ns}
}

func sumLoop() []float64 {
	x, total := make([]float64, size(100000000, 1000000)), 0.0
	fill(x)
	sum(x)
	begun := time.Now()
	for i := 0; i < vectorPasses; i++ {
		total += sum(x)
	}
	ns := since(begun, float64(len(x)*vectorPasses))
	expect(uint64(total), vectorSum(len(x))*vectorPasses, "sum")
	return []float64{ns}
}
