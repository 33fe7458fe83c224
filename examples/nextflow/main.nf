// Predict chromosomes one by one, and score variants, on the genome that is part of the package.
// Not run here; examples/snakemake does the same.
//
//   nextflow run examples/nextflow --outdir results
//
// With your own: --genome hg38.fa --model h1esc --chromosomes chr20,chr21 --variants in.vcf

nextflow.enable.dsl = 2

params.model = 'yeast-metaphase'
params.genome = 'example'
params.chromosomes = 'chrI,chrII'
params.variants = null
params.null_places = 2
params.outdir = 'results'

process PREDICT {
    tag "${chrom}"
    cpus 1
    memory '4 GB'
    publishDir "${params.outdir}/maps", mode: 'copy'

    input:
    val chrom

    output:
    tuple val(chrom), path("${chrom}.mcool"), emit: maps
    path "${chrom}.expected.*.tsv", emit: expected

    script:
    """
    export OMP_NUM_THREADS=${task.cpus}
    orca-cool predict -q -m '${params.model}' -g '${params.genome}' '${chrom}' -o '${chrom}.mcool'
    """
}

process CHECK {
    tag "${chrom}"
    publishDir "${params.outdir}/maps", mode: 'copy'

    input:
    tuple val(chrom), path(map)

    output:
    path "${chrom}.check.txt"

    script:
    """
    orca-cool check '${map}' > '${chrom}.check.txt'
    """
}

process EXAMPLE_VARIANTS {
    output:
    path 'variants.edits'

    script:
    """
    printf 'centromere\\tchrII:238,208-238,325 del\\n' > variants.edits
    printf 'elsewhere\\tchrII:438,208-438,325 del\\n' >> variants.edits
    """
}

process SCORE {
    cpus 2
    publishDir params.outdir, mode: 'copy'

    input:
    path variants

    output:
    path 'scores.tsv'
    path 'scores.tsv.json'
    path 'report.html'

    script:
    """
    orca-cool variants -q '${variants}' -m '${params.model}' -g '${params.genome}' -p ${task.cpus} \\
        --null ${params.null_places} --summary --html report.html -o scores.tsv
    """
}

workflow {
    chromosomes = Channel.fromList(params.chromosomes.tokenize(','))
    PREDICT(chromosomes)
    CHECK(PREDICT.out.maps)
    if (params.variants) {
        variants = Channel.fromPath(params.variants, checkIfExists: true)
    } else {
        EXAMPLE_VARIANTS()
        variants = EXAMPLE_VARIANTS.out
    }
    SCORE(variants)
}
