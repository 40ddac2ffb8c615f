/* models.c - several models are trained at once on one set of data, and their results used afterwards.
 *
 *   models [TRAIN TEST [DIRECTORY]]     how many images to learn from and to be asked about; where the data are
 *
 * Fashion-MNIST: pictures of clothes, of ten kinds (Debian: dataset-fashion-mnist), here at half their width and
 * height.  Four models learn what is what: a random forest, k-NN, softmax regression, k-means.  Each is a task, parallel
 * inside as well, each in its own way; the workers go where there is something to do.  When all have ended, they vote.
 * Every model gives the same answers for any number of workers: sums of integers do not depend on the order,
 * weft_reduce adds floats in an order of its own, and each tree has random numbers of its own.
 *
 * Exit status 77: the data are not there. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft.h>
#include <zlib.h>

enum { SIDE = 14, PIXELS = SIDE * SIDE, ROW = 208 /* PIXELS and zeros: a multiple of 16 */, KINDS = 10 };

struct images {
    size_t n;
    int16_t (*row)[ROW];
    uint8_t *kind;
};

static struct images train, test;

/* ---- The data ---- */

static bool
read_bytes(gzFile f, void *to, size_t n)
{
    return gzread(f, to, (unsigned)n) == (int)n;
}

static bool
read_file(struct images *images, const char *directory, const char *name)
{
    enum { FULL = 2 * SIDE };
    char path[512];
    uint8_t header[16], pixels[FULL][FULL];

    snprintf(path, sizeof path, "%s/%s-images-idx3-ubyte.gz", directory, name);
    gzFile f = gzopen(path, "rb");
    bool good = f && read_bytes(f, header, 16);
    for (size_t i = 0; i < images->n && good; i++) {
        good = read_bytes(f, pixels, sizeof pixels);
        for (int p = 0; p < PIXELS; p++) {
            const uint8_t *upper = &pixels[p / SIDE * 2][p % SIDE * 2], *lower = upper + FULL;
            images->row[i][p] = (int16_t)((upper[0] + upper[1] + lower[0] + lower[1]) / 4);
        }
    }
    if (f) gzclose(f);
    if (!good) return false;

    snprintf(path, sizeof path, "%s/%s-labels-idx1-ubyte.gz", directory, name);
    f = gzopen(path, "rb");
    good = f && read_bytes(f, header, 8) && read_bytes(f, images->kind, images->n);
    if (f) gzclose(f);
    return good;
}

/* ---- What they all need ---- */

static int
distance(const int16_t *a, const int16_t *b)
{
    int sum = 0;
    for (int p = 0; p < ROW; p++) {
        int16_t d = (int16_t)(a[p] - b[p]);
        sum += d * d;
    }
    return sum;
}

static int
most_votes(const int *votes)
{
    int best = 0;
    for (int k = 1; k < KINDS; k++)
        if (votes[k] > votes[best]) best = k;
    return best;
}

static uint32_t
next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)(z >> 32);
}

/* A model learns, then answers for the images begin .. end - 1 of the test: answers is ctx. */
struct model {
    const char *name;
    int (*learn)(void);
    weft_range_fn *answer;
    uint8_t *answers;
};

/* ---- k-NN: the nearest of all images that were learnt ---- */

enum { NEIGHBOURS = 5, TOGETHER = 16 /* images of the test in one pass over what was learnt */, TILE = 64 };

struct nearest {
    int distance[NEIGHBOURS], kind[NEIGHBOURS];
};

static void
offer(struct nearest *n, int d, int kind)
{
    int i = NEIGHBOURS - 1;
    if (d >= n->distance[i]) return;
    for (; i > 0 && n->distance[i - 1] > d; i--) {
        n->distance[i] = n->distance[i - 1];
        n->kind[i] = n->kind[i - 1];
    }
    n->distance[i] = d;
    n->kind[i] = kind;
}

static int
knn_learn(void)
{
    return 0; /* to learn is to remember */
}

static int
knn_answer(size_t begin, size_t end, void *ctx)
{
    uint8_t *answers = ctx;
    struct nearest nearest[TOGETHER];
    for (size_t i = begin; i < end; i++)
        for (int k = 0; k < NEIGHBOURS; k++) nearest[i - begin].distance[k] = INT32_MAX;
    for (size_t tile = 0; tile < train.n; tile += TILE) { /* stays in the cache while all look at it */
        size_t stop = tile + TILE < train.n ? tile + TILE : train.n;
        for (size_t i = begin; i < end; i++)
            for (size_t j = tile; j < stop; j++)
                offer(&nearest[i - begin], distance(test.row[i], train.row[j]), train.kind[j]);
    }
    for (size_t i = begin; i < end; i++) {
        int votes[KINDS] = {0};
        for (int k = 0; k < NEIGHBOURS; k++) votes[nearest[i - begin].kind[k]]++;
        answers[i] = (uint8_t)most_votes(votes);
    }
    return 0;
}

/* ---- Softmax regression: gradient descent, a batch at a time, by weft_reduce ---- */

enum { EPOCHS = 10, BATCH = 100, COLUMNS = 16 /* KINDS, and zeros */ };

struct weights {
    float of[PIXELS + 1][COLUMNS]; /* the last row is the bias */
};

static struct weights weights;

static void
probabilities(const int16_t *row, float *p)
{
    float most = -INFINITY, sum = 0;
    memcpy(p, weights.of[PIXELS], sizeof weights.of[PIXELS]);
    for (int i = 0; i < PIXELS; i++)
        for (int k = 0; k < COLUMNS; k++) p[k] += weights.of[i][k] * ((float)row[i] / 255);
    for (int k = 0; k < KINDS; k++) most = p[k] > most ? p[k] : most;
    for (int k = 0; k < KINDS; k++) sum += p[k] = expf(p[k] - most);
    for (int k = 0; k < KINDS; k++) p[k] /= sum;
}

static int
add_gradient(size_t begin, size_t end, void *acc, void *ctx)
{
    struct weights *gradient = acc;
    float p[COLUMNS];
    (void)ctx;
    for (size_t i = begin; i < end; i++) {
        probabilities(train.row[i], p);
        p[train.kind[i]] -= 1;
        for (int j = 0; j < PIXELS; j++)
            for (int k = 0; k < COLUMNS; k++) gradient->of[j][k] += p[k] * ((float)train.row[i][j] / 255);
        for (int k = 0; k < COLUMNS; k++) gradient->of[PIXELS][k] += p[k];
    }
    return 0;
}

static void
add_weights(void *into, const void *from, void *ctx)
{
    float *a = into;
    const float *b = from;
    (void)ctx;
    for (size_t i = 0; i < sizeof(struct weights) / sizeof *a; i++) a[i] += b[i];
}

static int
softmax_learn(void)
{
    static const struct weights zero;
    const weft_reduction sum = {sizeof zero, &zero, add_gradient, add_weights};
    struct weights gradient;
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        float rate = 0.5f / (float)(1 + epoch);
        for (size_t begin = 0; begin < train.n; begin += BATCH) {
            size_t end = begin + BATCH < train.n ? begin + BATCH : train.n;
            int code = weft_reduce(begin, end, 25, &sum, NULL, &gradient);
            if (code < 0) return code;
            for (int i = 0; i <= PIXELS; i++)
                for (int k = 0; k < COLUMNS; k++) weights.of[i][k] -= rate / (float)(end - begin) * gradient.of[i][k];
        }
    }
    return 0;
}

static int
softmax_answer(size_t begin, size_t end, void *ctx)
{
    uint8_t *answers = ctx;
    float p[COLUMNS];
    for (size_t i = begin; i < end; i++) {
        int best = 0;
        probabilities(test.row[i], p);
        for (int k = 1; k < KINDS; k++)
            if (p[k] > p[best]) best = k;
        answers[i] = (uint8_t)best;
    }
    return 0;
}

/* ---- A random forest: a task for each tree ---- */

enum { TREES = 32, TRIES = 14 /* pixels that are looked at for a split */, SHADES = 32, LEAF = 4 };

struct node {
    int pixel; /* -1: a leaf */
    int shade; /* left: up to this one */
    int left;  /* the right one is the next */
    int kind;
};

struct tree {
    uint64_t random;
    struct node *nodes;
    int n_nodes;
    uint32_t *sample; /* images that it learns from, sorted into the leaves */
};

static struct tree trees[TREES];

/* The images begin .. end - 1 of a sample have come to a node. */
struct part {
    int node;
    size_t begin, end;
};

static int
shade(const struct images *images, size_t i, int pixel)
{
    return images->row[i][pixel] * SHADES / 256;
}

/* How pure a node would be on both sides, if it were split there: the more the better. */
static double
purity(const int *left, const int *all, int n_left, int n)
{
    double l = 0, r = 0;
    for (int k = 0; k < KINDS; k++) {
        l += (double)left[k] * left[k];
        r += (double)(all[k] - left[k]) * (all[k] - left[k]);
    }
    return l / n_left + r / (n - n_left);
}

/* Chooses pixel and shade for a node; the pixel stays -1 if nothing tells the images apart. */
static void
choose_split(struct tree *t, const struct part *part, const int *all, struct node *node)
{
    int n = (int)(part->end - part->begin);
    double best = 0;
    for (int try = 0; try < TRIES; try++) {
        int pixel = (int)(next_random(&t->random) % PIXELS), count[SHADES][KINDS] = {{0}}, left[KINDS] = {0},
            n_left = 0;
        for (size_t i = part->begin; i < part->end; i++)
            count[shade(&train, t->sample[i], pixel)][train.kind[t->sample[i]]]++;
        for (int s = 0; s < SHADES - 1; s++) {
            int here = 0;
            for (int k = 0; k < KINDS; k++) {
                left[k] += count[s][k];
                here += count[s][k];
            }
            n_left += here;
            if (here == 0 || n_left == n) continue;
            double p = purity(left, all, n_left, n);
            if (p > best) {
                best = p;
                node->pixel = pixel;
                node->shade = s;
            }
        }
    }
}

static size_t
divide(struct tree *t, const struct part *part, const struct node *node)
{
    size_t middle = part->begin;
    for (size_t i = part->begin; i < part->end; i++) {
        uint32_t image = t->sample[i];
        if (shade(&train, image, node->pixel) > node->shade) continue;
        t->sample[i] = t->sample[middle];
        t->sample[middle++] = image;
    }
    return middle;
}

/* Makes a node of a part; true: an inner one, whose images are divided at *middle. */
static bool
grow_node(struct tree *t, const struct part *part, size_t *middle)
{
    struct node *node = &t->nodes[part->node];
    int all[KINDS] = {0}, n = (int)(part->end - part->begin);
    for (size_t i = part->begin; i < part->end; i++) all[train.kind[t->sample[i]]]++;
    node->pixel = -1;
    node->kind = most_votes(all);
    if (n <= LEAF || all[node->kind] == n) return false;
    choose_split(t, part, all, node);
    if (node->pixel < 0) return false;
    *middle = divide(t, part, node);
    node->left = t->n_nodes;
    t->n_nodes += 2;
    return true;
}

static int
grow_tree(void *arg)
{
    struct tree *t = arg;
    t->random = (uint64_t)(t - trees);
    t->sample = malloc(train.n * sizeof *t->sample);
    t->nodes = malloc(2 * train.n * sizeof *t->nodes);
    struct part *open = malloc(train.n * sizeof *open);
    int code = t->sample && t->nodes && open ? 0 : WEFT_ENOMEM;
    size_t n_open = 0, middle;
    if (code == 0) {
        for (size_t i = 0; i < train.n; i++) t->sample[i] = (uint32_t)(next_random(&t->random) % train.n);
        open[n_open++] = (struct part){0, 0, train.n};
        t->n_nodes = 1;
    }
    while (n_open > 0 && (code = weft_check()) == 0) {
        struct part part = open[--n_open];
        if (!grow_node(t, &part, &middle)) continue;
        int left = t->nodes[part.node].left;
        open[n_open++] = (struct part){left, part.begin, middle};
        open[n_open++] = (struct part){left + 1, middle, part.end};
    }
    free(open);
    return code;
}

static int
forest_learn(void)
{
    weft_scope s;
    int code = 0;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    for (int i = 0; i < TREES && code == 0; i++) code = weft_spawn(NULL, grow_tree, &trees[i]);
    return weft_scope_close(&s, code);
}

static int
forest_answer(size_t begin, size_t end, void *ctx)
{
    uint8_t *answers = ctx;
    for (size_t i = begin; i < end; i++) {
        int votes[KINDS] = {0};
        for (int t = 0; t < TREES; t++) {
            const struct node *node = trees[t].nodes;
            while (node->pixel >= 0) node = &trees[t].nodes[node->left + (shade(&test, i, node->pixel) > node->shade)];
            votes[node->kind]++;
        }
        answers[i] = (uint8_t)most_votes(votes);
    }
    return 0;
}

/* ---- k-means: clusters, each called by what most of its images are ---- */

enum { CLUSTERS = 64, ROUNDS = 10 };

static int16_t centres[CLUSTERS][ROW];
static uint8_t cluster_kind[CLUSTERS];

struct clusters {
    int pixels[CLUSTERS][PIXELS]; /* sums */
    int kinds[CLUSTERS][KINDS], n[CLUSTERS];
};

static int
nearest_cluster(const int16_t *row)
{
    int best = 0, least = INT32_MAX;
    for (int c = 0; c < CLUSTERS; c++) {
        int d = distance(row, centres[c]);
        if (d >= least) continue;
        least = d;
        best = c;
    }
    return best;
}

static int
add_to_clusters(size_t begin, size_t end, void *acc, void *ctx)
{
    struct clusters *all = acc;
    (void)ctx;
    for (size_t i = begin; i < end; i++) {
        int c = nearest_cluster(train.row[i]);
        for (int p = 0; p < PIXELS; p++) all->pixels[c][p] += train.row[i][p];
        all->kinds[c][train.kind[i]]++;
        all->n[c]++;
    }
    return 0;
}

static void
add_clusters(void *into, const void *from, void *ctx)
{
    int *a = into;
    const int *b = from;
    (void)ctx;
    for (size_t i = 0; i < sizeof(struct clusters) / sizeof *a; i++) a[i] += b[i];
}

static int
kmeans_learn(void)
{
    static const struct clusters zero;
    static struct clusters all; /* too large for the stack of a task */
    const weft_reduction sum = {sizeof zero, &zero, add_to_clusters, add_clusters};
    for (size_t c = 0; c < CLUSTERS; c++) memcpy(centres[c], train.row[c * train.n / CLUSTERS], sizeof centres[c]);
    for (int round = 0; round < ROUNDS; round++) {
        int code = weft_reduce(0, train.n, 500, &sum, NULL, &all);
        if (code < 0) return code;
        for (int c = 0; c < CLUSTERS; c++) {
            for (int p = 0; p < PIXELS && all.n[c] > 0; p++) centres[c][p] = (int16_t)(all.pixels[c][p] / all.n[c]);
            cluster_kind[c] = (uint8_t)most_votes(all.kinds[c]);
        }
    }
    return 0;
}

static int
kmeans_answer(size_t begin, size_t end, void *ctx)
{
    uint8_t *answers = ctx;
    for (size_t i = begin; i < end; i++) answers[i] = cluster_kind[nearest_cluster(test.row[i])];
    return 0;
}

/* ---- All of them ---- */

static struct model models[] = {
    {"random forest", forest_learn, forest_answer, NULL},
    {"k-NN", knn_learn, knn_answer, NULL},
    {"softmax regression", softmax_learn, softmax_answer, NULL},
    {"k-means", kmeans_learn, kmeans_answer, NULL},
};

enum { MODELS = sizeof models / sizeof *models };

static int
learn_and_answer(void *arg)
{
    struct model *m = arg;
    int code = m->learn();
    if (code == 0) code = weft_for(0, test.n, TOGETHER, m->answer, m->answers);
    return code < 0 ? weft_fail(code, "%s", m->name) : 0;
}

static void
show(const char *name, const uint8_t *answers)
{
    size_t right = 0;
    for (size_t i = 0; i < test.n; i++) right += answers[i] == test.kind[i];
    printf("%-20s %6.2f %%\n", name, 100 * (double)right / (double)test.n);
}

/* What most models say; of kinds with as many votes, that of the model which comes first. */
static void
vote(uint8_t *answers)
{
    for (size_t i = 0; i < test.n; i++) {
        int votes[KINDS] = {0}, best = 0;
        for (int m = 0; m < MODELS; m++) votes[models[m].answers[i]]++;
        for (int m = MODELS - 1; m >= 0; m--)
            if (votes[models[m].answers[i]] >= best) best = votes[answers[i] = models[m].answers[i]];
    }
}

static int
root(void *arg)
{
    uint8_t *votes = arg;
    weft_scope s;
    weft_time begun = weft_now();
    int code = 0;

    weft_scope_open(&s, 0, WEFT_FOREVER);
    for (int m = 0; m < MODELS && code == 0; m++) code = weft_spawn(NULL, learn_and_answer, &models[m]);
    code = weft_scope_close(&s, code);
    if (code < 0) return code;

    vote(votes);
    weft_time ended = weft_now();
    for (int m = 0; m < MODELS; m++) show(models[m].name, models[m].answers);
    show("all together", votes);
    printf("in %.3f seconds\n", (double)(ended - begun) / WEFT_S);
    return 0;
}

int
main(int argc, char **argv)
{
    const char *directory = argc > 3 ? argv[3] : "/usr/share/datasets/fashion-mnist";
    train.n = argc > 2 ? strtoul(argv[1], NULL, 10) : 800;
    test.n = argc > 2 ? strtoul(argv[2], NULL, 10) : 200;
    if (argc == 2 || argc > 4 || train.n < CLUSTERS || train.n > 60000 || test.n < 1 || test.n > 10000) {
        fprintf(stderr, "usage: models [TRAIN TEST [DIRECTORY]]     %d .. 60000, 1 .. 10000\n", CLUSTERS);
        return 2;
    }
    struct images *both[] = {&train, &test};
    for (int i = 0; i < 2; i++) {
        both[i]->row = calloc(both[i]->n, sizeof *both[i]->row);
        both[i]->kind = malloc(both[i]->n);
        if (!both[i]->row || !both[i]->kind) return 1;
    }
    if (!read_file(&train, directory, "train") || !read_file(&test, directory, "t10k")) {
        fprintf(stderr, "models: no Fashion-MNIST in %s (Debian: dataset-fashion-mnist)\n", directory);
        return 77;
    }
    uint8_t *answers = malloc((MODELS + 1) * test.n);
    if (!answers) return 1;
    for (int m = 0; m < MODELS; m++) models[m].answers = answers + (size_t)m * test.n;

    int code = weft_run(NULL, root, answers + MODELS * test.n);
    if (code < 0) fprintf(stderr, "models: %s\n", weft_error_text(code));

    for (int i = 0; i < TREES; i++) {
        free(trees[i].nodes);
        free(trees[i].sample);
    }
    for (int i = 0; i < 2; i++) {
        free(both[i]->row);
        free(both[i]->kind);
    }
    free(answers);
    return code < 0;
}
